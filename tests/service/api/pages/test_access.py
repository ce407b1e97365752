"""Every page in one table: who is let in, who is refused, and who is led to the login."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

# By route: the least that may open it; ``owner`` submitted the sweep, or is an admin.
EXPECTED = {
    "GET /": "viewer",
    "GET /login": "open",
    "POST /login": "open",
    "POST /logout": "viewer",
    "GET /session": "viewer",
    "GET /submit": "submitter",
    "POST /submit": "submitter",
    "GET /sweeps/": "viewer",
    "GET /sweeps/{name}": "viewer",
    "POST /sweeps/{name}/delete": "owner",
    "GET /sweeps/{name}/export/{table}": "viewer",
    "POST /sweeps/{name}/extend": "owner",
    "GET /sweeps/{name}/log": "viewer",
    "GET /sweeps/{name}/report": "viewer",
    "POST /sweeps/{name}/resume": "owner",
    "POST /sweeps/{name}/stop": "owner",
}
MAY = {
    "open": {"nobody", "viewer", "other", "owner", "admin"},
    "viewer": {"viewer", "other", "owner", "admin"},
    "submitter": {"other", "owner", "admin"},
    "owner": {"owner", "admin"},
}


def _routes(routes: Any) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        elif getattr(route, "methods", None):
            yield from (f"{method} {route.path}" for method in route.methods - {"HEAD"})


def test_every_page_is_in_the_table(stranger: Any) -> None:
    assert sorted(_routes(stranger.app.state.pages.routes)) == sorted(EXPECTED)


@pytest.fixture
def people(
    stranger: Any, browser_of: Callable[..., Any], tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    async def made(*_: object) -> None:
        raise ZeroDivisionError("it would have been made")

    monkeypatch.setattr("service.api.routes.files._made", made)
    owner = browser_of("owner", "submitter")
    owner.post("/submit", data={"spec": tiny_text})
    others = {"viewer": "viewer", "other": "submitter", "admin": "admin"}
    people = {name: browser_of(name, role) for name, role in others.items()}
    return {"nobody": stranger, "owner": owner, **people}


def test_every_page_lets_in_whom_it_should_and_nobody_else(people: dict[str, Any]) -> None:
    for route, least in EXPECTED.items():
        method, path = route.split()
        path = path.format(name="tiny", table="trials")
        for name, client in people.items():
            if path == "/logout" and name != "nobody":
                continue
            # Whoever may is told that there is no form; what needs none is tested elsewhere.
            if name in MAY[least] and path.endswith(("/stop", "/resume")):
                continue
            fresh = type(client)(
                client.app,
                raise_server_exceptions=False,
                follow_redirects=False,
                headers=client.headers,
                cookies=client.cookies,
            )
            answer = fresh.request(method, path)
            if name in MAY[least]:
                assert answer.status_code in (200, 204, 303, 415, 500), (route, name)
                assert not answer.headers.get("location", "").startswith("/login"), (route, name)
            elif name != "nobody":
                assert answer.status_code == 403, (route, name)
            elif method == "GET":
                assert answer.status_code == 303, route
                assert answer.headers["location"].startswith("/login"), route
            else:
                assert answer.status_code == 401, route
            assert "json" not in answer.headers.get("content-type", ""), (route, name)


def test_a_small_role_is_refused_before_a_form_is_read(people: dict[str, Any]) -> None:
    for path in ("/submit", "/sweeps/tiny/extend"):
        assert people["viewer"].post(path, content=b"\xff" * 10**6).status_code == 403
