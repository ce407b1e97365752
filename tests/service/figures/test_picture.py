"""A picture's bytes are the same each time, and its text is text, whatever its user has set."""

import xml.etree.ElementTree as ET

import matplotlib
import pytest

from service.figures import Picture, as_png, as_svg
from service.figures.style import house_style

SVG = "{http://www.w3.org/2000/svg}"


def drawn(label: str = "steps") -> Picture:
    picture = Picture("A heading", "a sweep; small print", 4.0, 3.0)
    with house_style():
        axes = picture.subplots()
        axes.plot([1, 2], [3, 4])
        axes.set_xlabel(label)
    return picture


def words(svg: bytes) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_bytes_are_the_same_each_time() -> None:
    assert as_svg(drawn()) == as_svg(drawn())
    assert as_png(drawn()) == as_png(drawn())
    assert b"dc:date" not in as_svg(drawn())
    picture = drawn()
    first = as_svg(picture)
    as_png(picture)
    assert as_svg(picture) == first


def test_text_is_text_and_nobodys_formula_or_markup() -> None:
    label = "a$_{b}$ <script>&amp;"
    assert {"A heading", "a sweep; small print", label} <= set(words(as_svg(drawn(label))))


def test_a_users_settings_change_nothing_and_stay() -> None:
    before = as_svg(drawn())
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "k"}):
        assert as_svg(drawn()) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_small_print_that_is_too_long_for_one_line_goes_on_below() -> None:
    picture = Picture("A heading", "word " * 60, 4.0, 3.0)
    heading, *lines = picture.texts
    assert heading.get_text() == "A heading"
    assert len(lines) > 1
    assert " ".join(line.get_text() for line in lines) == ("word " * 60).strip()
    heights = [line.get_position()[1] for line in lines]
    assert heights == sorted(heights, reverse=True)


def test_in_a_notebook_it_shows_itself() -> None:
    assert drawn()._repr_svg_() == as_svg(drawn()).decode()


def test_no_figure_is_held_by_pyplot() -> None:
    import matplotlib.pyplot as plt

    drawn()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("as_bytes", [as_svg, as_png])
def test_a_picture_is_not_empty(as_bytes: object) -> None:
    assert len(as_bytes(drawn())) > 1000  # type: ignore[operator]
