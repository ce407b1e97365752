"""A figure as a part of the page."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from service.figures import Gallery

# Where an SVG names its parts, or points at them.
_NAMES = re.compile(r'( id="|url\(#|href="#)')
# What stands before an SVG that is a document of its own.
_PROLOGUE = re.compile(r"\A.*?(?=<svg)", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A figure on the page.

    Attributes:
        name: Its name, unique on the page.
        heading: Its title.
        finding: What can be read off it.
        svg: The drawing, to be put into HTML.
    """

    name: str
    heading: str
    finding: str
    svg: Markup


def shown(figures: Gallery, name: str) -> Shown:
    """A figure, drawn. Its parts are named so that no other figure's are called alike."""
    picture = figures[name]
    svg = _PROLOGUE.sub("", figures.svg(name).decode())
    svg = _NAMES.sub(rf"\g<1>{name}-", svg)
    label = Markup.escape(f"{picture.heading}. {picture.finding}")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    # matplotlib escapes every text that it writes.
    return Shown(name, picture.heading, picture.finding, Markup(svg))  # noqa: S704
