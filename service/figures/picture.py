"""A figure with its heading, what can be read off it in words, and its bytes."""

from io import BytesIO
from textwrap import wrap

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from service.figures.style import GREY, house_style

# In inches: of the heading, and of each line of small print below it.
_HEADING_IN, _LINE_IN = 0.3, 0.15
_LETTERS_AN_INCH = 17


class Picture(Figure):
    """A matplotlib figure that no window or backend holds; in a notebook it shows itself.

    Attributes:
        heading: Its title.
        finding: What can be read off it, in one or two sentences; its text for those who do not
            see it. Set once it is drawn.

    Args:
        heading: Its title.
        small_print: Which sweep it is of, of what size, and what must be known of the drawing.
        width: In inches.
        height: The same.
    """

    def __init__(self, heading: str, small_print: str, width: float, height: float) -> None:
        lines = wrap(small_print, int(width * _LETTERS_AN_INCH))
        above = (_HEADING_IN + _LINE_IN * len(lines) + 0.1) / height
        with house_style():
            super().__init__(
                figsize=(width, height),
                layout=ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1.0 - above)),
            )
            left = 0.08 / width
            self.text(left, 1.0 - 0.08 / height, heading, size=11, weight="bold", va="top")
            for place, line in enumerate(lines):
                top = 1.0 - (_HEADING_IN + _LINE_IN * place) / height
                self.text(left, top, line, size=7.5, color=GREY, va="top")
        self.heading = heading
        self.finding = ""

    def _repr_svg_(self) -> str:
        return as_svg(self).decode()


def as_svg(figure: Figure) -> bytes:
    """An SVG document with its text as text; the same figure gives the same bytes."""
    return _saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})


def as_png(figure: Figure) -> bytes:
    """A PNG of 150 dots an inch; the same figure gives the same bytes."""
    return _saved(figure, "png", {"Software": None})


def _settle(figure: Figure) -> None:
    """Lay a figure out once and for all.

    Laid out again everything would move by a hair. And the layout's solver goes through its
    variables in the order of their addresses, so that the last digits differ from time to time.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    for axes in figure.axes:
        left, bottom, width, height = (round(share, 5) for share in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def _saved(figure: Figure, kind: str, metadata: dict[str, str | None]) -> bytes:
    data = BytesIO()
    with house_style():
        _settle(figure)
        figure.savefig(data, format=kind, metadata=metadata)
    return data.getvalue()
