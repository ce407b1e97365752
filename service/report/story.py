"""The page: the question, the answer, and the sections below them."""

from collections.abc import Callable

from markupsafe import Markup

from service.opened import OpenSweep
from service.report.again import again
from service.report.answer import answer
from service.report.evidence import confirmed, searched, trained
from service.report.listing import listing
from service.report.making import made
from service.report.question import question
from service.report.section import Section, rendered

# In the order of the page; one that has nothing to say of a sweep is None.
SECTIONS: tuple[Callable[[OpenSweep], Section | None], ...] = (
    confirmed,
    searched,
    trained,
    made,
    listing,
    again,
)


def page(sweep: OpenSweep) -> str:
    """The whole page as HTML: it asks for nothing else, and runs no script.

    Raises:
        StorageError: If curves or neurons that the ledger names are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    sections = [section for make in SECTIONS if (section := make(sweep)) is not None]
    return rendered(
        "page.html",
        name=sweep.name,
        state=sweep.state,
        style=Markup(rendered("page.css")),  # noqa: S704 - the template's own
        question=question(sweep.spec),
        answer=answer(sweep),
        sections=sections,
    )
