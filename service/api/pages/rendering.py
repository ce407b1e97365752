"""How the pages' templates become answers."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from service.api.guard import LOCAL
from service.api.pages import words
from service.api.pages.links import Link
from service.ledger.tokens import Caller
from service.report.words import interval, moment, setting_words, short


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A template as an answer: whatever is put into it is text, and a name that it lacks an error.

    Args:
        request: What is answered; its app's state has the links, its own who asks.
        template: A file of this package's templates.
        status: The answer's.
        values: What the template shows.
    """
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    links: tuple[Link, ...] = getattr(request.app.state, "links", ())
    html = (
        _environment()
        .get_template(template)
        .render(
            path=request.url.path,
            caller=caller,
            may_submit=caller is not None and caller.may("submitter"),
            may_leave=caller is not None and caller != LOCAL,
            links=links,
            **values,
        )
    )
    return HTMLResponse(html, status)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=words.age,
        interval=interval,
        iso=words.iso,
        moment=moment,
        number=words.number,
        setting_words=setting_words,
        short=short,
    )
    return environment
