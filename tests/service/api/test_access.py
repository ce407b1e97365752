"""Who may ask for what: every route of the app, with every kind of caller."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.api.limits import Limits
from service.api.making import Maker
from service.api.problems import NotMadeError

# By hand, from what the API promises: who may at least. A route that is not here fails a test.
EXPECTED = {
    "GET /openapi.json": "open",
    "GET /v1/health": "open",
    "GET /v1/ready": "open",
    "GET /v1/whoami": "viewer",
    "GET /v1/metrics": "viewer",
    "GET /v1/audit": "admin",
    "GET /v1/sweeps": "viewer",
    "POST /v1/sweeps": "submitter",
    "GET /v1/sweeps/{name}": "viewer",
    "DELETE /v1/sweeps/{name}": "owner",
    "GET /v1/sweeps/{name}/best": "viewer",
    "GET /v1/sweeps/{name}/events": "viewer",
    "GET /v1/sweeps/{name}/export/{table}": "viewer",
    "POST /v1/sweeps/{name}/extend": "owner",
    "GET /v1/sweeps/{name}/logs": "viewer",
    "GET /v1/sweeps/{name}/report": "viewer",
    "POST /v1/sweeps/{name}/resume": "owner",
    "GET /v1/sweeps/{name}/spec": "viewer",
    "POST /v1/sweeps/{name}/stop": "owner",
    "GET /v1/sweeps/{name}/trials": "viewer",
}
# Who may do what such a route asks for, of those with a good token; ann submitted the sweep.
MAY = {
    "viewer": {"vera", "ann", "ben", "root"},
    "submitter": {"ann", "ben", "root"},
    "owner": {"ann", "root"},
    "admin": {"root"},
}


def _routes(routes: Any) -> Iterator[str]:
    """Every route of an app, those that ``/openapi.json`` keeps quiet about included."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        else:
            for method in set(getattr(route, "methods", None) or {"ANY"}) - {"HEAD"}:
                yield f"{method} {route.path}"


def test_every_route_is_in_the_table(served: Any) -> None:
    assert sorted(_routes(served.app.routes)) == sorted(EXPECTED)


def test_every_route_lets_in_whom_it_should_and_nobody_else(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(*_: Any, **__: Any) -> None:
        raise NotMadeError("takes seconds")

    monkeypatch.setattr(Maker, "make", make)
    assert served.submit(tiny_text).status_code == 201
    assert served.post("/v1/sweeps/tiny/stop").status_code == 202
    wrong = []
    for route, least in EXPECTED.items():
        method, template = route.split()
        path = template.format(name="tiny", table="trials")
        # Unreadable, and refused all the same by who asks alone.
        body = {"content": b"{", "headers": {"Content-Type": "application/json"}}
        for caller in (None, "rex", "vera", "ben", "ann", "root"):
            status = served.call(method, path, caller, **(body if method == "POST" else {}))
            found = status.status_code
            if least == "open":
                is_right = found in (200, 503)
            elif caller in (None, "rex"):
                is_right = found == 401
            elif caller in MAY[least]:
                is_right = found not in (401, 403)
            else:
                is_right = found == 403
            if not is_right:
                wrong.append((route, caller, found))
    assert wrong == []


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic {token}",
        "Bearer {token}x",
        "Bearer x{token}",
        "Bearer {id}_",
        "Bearer {id}_" + "A" * 43,
        "Bearer \x7f",
        "Bearer " + "a" * 5000,
    ],
)
def test_what_is_no_good_token_is_refused_alike(served: Any, shown: str) -> None:
    token = served.tokens["root"]
    header = shown.format(token=token, id=token.rpartition("_")[0][:22])
    answer = served.get("/v1/whoami", None, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == served.get("/v1/whoami", None).json()
    assert token not in answer.text


def test_two_tokens_at_once_are_none(served: Any) -> None:
    headers = [("Authorization", f"Bearer {served.tokens[name]}") for name in ("vera", "root")]
    assert served.client.get("/v1/whoami", headers=headers).status_code == 401


def test_nobody_learns_without_a_token_what_there_is(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    there, nowhere = (
        served.get(path, None).json() for path in ("/v1/sweeps/tiny", "/v1/sweeps/none")
    )
    assert there == nowhere == served.get("/no/such/path", None).json()
    assert served.get("/no/such/path").status_code == 404


def test_a_token_that_is_revoked_is_refused_from_the_next_call_on(served: Any) -> None:
    from service.ledger import tokens

    assert served.get("/v1/whoami", "ben").json() == {"name": "ben", "role": "submitter"}
    tokens.revoke(served.ledger.engine, "ben")
    assert served.get("/v1/whoami", "ben").status_code == 401


def test_without_authentication_everybody_is_the_local_admin(serve: Any, home: Any) -> None:
    with serve(home, Limits(), needs_token=False) as served:
        assert served.get("/v1/whoami", None).json() == {"name": "local", "role": "admin"}
        assert served.get("/v1/audit", None).status_code == 200


def test_what_is_changed_and_who_is_refused_is_in_the_audit(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    served.get("/v1/sweeps/tiny")
    served.post("/v1/sweeps/tiny/stop", "ben")
    served.post("/v1/sweeps/tiny/stop", "root")
    served.get("/v1/sweeps/tiny%00" + "x" * 200, None)
    served.get("/v1/audit", "vera")
    found = [(one.action, one.who, one.sweep, one.status) for one in reversed(served.deeds)]
    assert found[:3] == [
        ("submit", "ann", "tiny", 201),
        ("stop", "ben", "tiny", 403),
        ("stop", "root", "tiny", 202),
    ]
    assert found[3][1:] == (None, None, 401)
    assert found[3][0].startswith("GET /v1/sweeps/tinyx")
    assert found[4:] == [("read_audit", "vera", None, 403)]
    told = served.get("/v1/audit", "root", params={"limit": 2}).json()["deeds"]
    assert [one["action"] for one in told] == ["read_audit", told[1]["action"]]
