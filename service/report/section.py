"""A part of the page, and how templates become HTML."""

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """A part of the page below its answer.

    Attributes:
        anchor: Its place in the page's address; a word.
        heading: What it is called.
        body: Its HTML.
    """

    anchor: str
    heading: str
    body: Markup


def rendered(template: str, **values: object) -> Markup:
    """A template as HTML: whatever is put into it is text, and a name that it lacks an error."""
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704 - escaped


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("service.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
