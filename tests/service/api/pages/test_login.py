"""Who gets in to the pages, how it is remembered, and what other sites cannot do."""

import html
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest

from service.api import serving
from service.api.app import create_app
from service.api.limits import Limits
from service.api.pages.paths import after_login
from service.home import Home
from service.ledger import Ledger, audit, queue, tokens

NAME = "monosweep_session"
PAGES = ("/", "/submit", "/sweeps/tiny", "/sweeps/tiny/log", "/sweeps/tiny/report")


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_login_and_back(stranger: Any, ledger: Ledger, path: str) -> None:
    led = stranger.get(path)
    assert led.status_code == 303
    form = stranger.get(led.headers["location"])
    assert form.status_code == 200
    wanted = form.text.split('name="next" value="')[1].split('"')[0]
    token = tokens.create(ledger.engine, "ada", "admin")
    back = stranger.post("/login", data={"token": token, "next": wanted})
    assert (back.status_code, back.headers["location"]) == (303, path)


@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/nothing", "/nothing", "/v1/sweeps/tiny/stop"])
def test_the_api_is_never_answered_with_a_page_and_no_session_opens_it(
    ada: Any, stranger: Any, path: str
) -> None:
    for client in (ada, stranger):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert "location" not in answer.headers


def test_a_token_in_a_header_opens_no_page(stranger: Any, ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "admin")
    answer = stranger.get("/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_for_us_alone(home: Home, ledger: Ledger, stranger: Any, scheme: str) -> None:
    token = tokens.create(ledger.engine, "ada", "viewer")
    stranger.base_url = f"{scheme}://server.example"
    answer = stranger.post("/login", data={"token": token})
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert cookie.key == NAME
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "strict"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert int(cookie["max-age"]) == 43_200
    assert bool(cookie["secure"]) == (scheme == "https")
    assert cookie.value not in token
    assert token not in answer.text


@pytest.mark.parametrize(
    ("trusted", "is_secure"),
    [(None, False), ("10.0.0.1", False), ("127.0.0.1", True), ("127.0.0.0/8", True)],
)
def test_a_proxy_is_believed_only_where_the_environment_names_it(
    stranger: Any,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str | None,
    is_secure: bool,
) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if trusted is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    configs: list[Any] = []
    monkeypatch.setattr(serving._Server, "run", lambda self, _sockets: configs.append(self.config))
    serving.serve(stranger.app, None)  # type: ignore[arg-type]
    configs[0].load()
    client = type(stranger)(
        configs[0].loaded_app, follow_redirects=False, client=("127.0.0.1", 50_000)
    )
    token = tokens.create(ledger.engine, "ada", "viewer")
    # The first one is the caller's own word, which the proxy passes on.
    said_for = "203.0.113.9, 198.51.100.7"
    said = {**stranger.headers, "X-Forwarded-Proto": "https", "X-Forwarded-For": said_for}
    answer = client.post("/login", data={"token": token}, headers=said)
    assert ("; Secure" in answer.headers["set-cookie"]) == is_secure
    (deed,) = audit.deeds(ledger.engine)
    assert deed.client == ("198.51.100.7" if is_secure else "127.0.0.1")


@pytest.mark.parametrize("token", ["", "monosweep_x_y", "<script>"])
def test_a_wrong_token_is_told_and_not_shown_again(
    stranger: Any, ledger: Ledger, token: str
) -> None:
    answer = stranger.post("/login", data={"token": token})
    assert answer.status_code == 401
    assert "That is no good token" in answer.text
    assert not token or token not in answer.text
    assert "set-cookie" not in answer.headers
    (deed,) = audit.deeds(ledger.engine)
    assert (deed.action, deed.status, deed.who) == ("login", 401, None)


def test_a_login_is_in_the_audit_by_name(ada: Any, ledger: Ledger) -> None:
    (deed,) = audit.deeds(ledger.engine)
    assert (deed.action, deed.status, deed.who) == ("login", 303, "ada")


def test_a_revoked_token_ends_the_session_at_the_next_request(ada: Any, ledger: Ledger) -> None:
    assert ada.get("/").status_code == 200
    tokens.revoke(ledger.engine, "ada")
    assert ada.get("/").headers["location"] == "/login"


def test_a_proxy_is_told_who_has_a_session_however_much_is_asked_for_at_once(
    ada: Any, stranger: Any, ledger: Ledger
) -> None:
    backing = ada.app.state.backing
    backing.calls["ada"] = backing.limits.calls_at_work
    answer = ada.get("/session")
    assert (answer.status_code, answer.content) == (204, b"")
    # A browser that the proxy shows this to logs in, and finds the way from the first page.
    led = stranger.get("/session", headers={"X-Forwarded-Uri": "/mlflow/"})
    assert (led.status_code, led.headers["location"]) == (303, "/login")
    tokens.revoke(ledger.engine, "ada")
    assert ada.get("/session").status_code == 303


def test_who_logs_out_is_out_also_with_the_old_cookie(ada: Any) -> None:
    old = ada.cookies[NAME]
    answer = ada.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert NAME not in ada.cookies
    ada.cookies[NAME] = old
    assert ada.get("/").headers["location"] == "/login"


def test_what_is_sent_when_the_session_is_over_is_not_led_away_from(
    ada: Any, ledger: Ledger, tiny_text: str
) -> None:
    """A browser that was led on would have lost what was typed."""
    tokens.revoke(ledger.engine, "ada")
    answer = ada.post("/submit", data={"spec": tiny_text})
    assert answer.status_code == 401
    assert "Your session has ended, and nothing was changed" in answer.text
    assert queue.entries(ledger.engine) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
        {"Sec-Fetch-Site": "", "Origin": "http://evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {},
    ],
)
def test_no_other_site_has_a_browser_send_our_forms(
    ada: Any, ledger: Ledger, tiny_text: str, headers: dict[str, str]
) -> None:
    del ada.headers["Sec-Fetch-Site"]
    for path in ("/submit", "/login", "/logout", "/sweeps/tiny/stop"):
        answer = ada.post(path, data={"spec": tiny_text}, headers=headers)
        assert answer.status_code == 403, path
        assert "from this server&#39;s own pages" in answer.text
    assert queue.entries(ledger.engine) == []
    assert {deed.status for deed in audit.deeds(ledger.engine, 4)} == {403}
    assert ada.get("/").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://testserver"}, {"Sec-Fetch-Site": "none"}])
def test_our_own_forms_are_taken_from_browsers_old_and_new(
    ada: Any, tiny_text: str, headers: dict[str, str]
) -> None:
    del ada.headers["Sec-Fetch-Site"]
    answer = ada.post("/submit", data={"spec": tiny_text}, headers=headers)
    assert answer.headers["location"] == "/sweeps/tiny"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/v1/sweeps",
        "/login?next=/login",
        "/session",
        "/sweeps/../v1\n",
        "///evil.example/sweeps/",
        "http://[",
        "",
    ],
)
def test_a_login_leads_nowhere_but_to_our_pages(wanted: str) -> None:
    assert after_login(wanted) == "/"


@pytest.mark.parametrize("address", ["http://[", "http://[::1", "http://]", "http://a[b]"])
def test_what_is_no_address_is_refused_and_breaks_nothing(
    stranger: Any, local: Any, address: str
) -> None:
    assert stranger.get("/login", params={"next": address}).status_code == 200
    for client in (stranger, local):
        del client.headers["Sec-Fetch-Site"]
        answer = client.post("/login", data={"token": "x"}, headers={"Origin": address})
        assert answer.status_code == 403
    answer = local.get("/v1/sweeps", headers={"Host": address.removeprefix("http://")})
    assert answer.status_code == 403


@pytest.mark.parametrize("char", ["\0", "\x1b", "\x7f"])
def test_no_control_character_of_a_form_reaches_the_ledger(
    ada: Any, stranger: Any, ledger: Ledger, tiny_text: str, char: str
) -> None:
    forms = {
        "token": (stranger, "/login", {"token": f"monosweep_{char}_y"}),
        "key": (ada, "/submit", {"spec": tiny_text, "key": f"a{char}b"}),
        "spec": (ada, "/submit", {"spec": f"{tiny_text}# {char}"}),
        char: (ada, "/submit", {"spec": tiny_text, char: "a"}),
    }
    for field, (client, path, form) in forms.items():
        answer = client.post(path, data=form)
        assert answer.status_code == 422
        assert f"found another in {field!a}" in html.unescape(answer.text)
    assert ledger.names() == []


@pytest.mark.parametrize("wanted", ["/", "/submit", "/sweeps/tiny", "/?stage=failed&owner=ada"])
def test_a_login_leads_back_to_any_of_our_pages(wanted: str) -> None:
    assert after_login(wanted) == wanted


@pytest.fixture
def local(home: Home, ledger: Ledger, stranger: Any) -> Any:
    """A browser before a server that asks for no token."""
    app = create_app(ledger, home, jobs=None, wake=lambda: None, limits=Limits(), needs_token=False)
    return type(stranger)(
        app, base_url="http://127.0.0.1:8700", follow_redirects=False, headers=stranger.headers
    )


def test_without_tokens_nobody_logs_in(local: Any, tiny_text: str) -> None:
    assert local.get("/").status_code == 200
    assert local.get("/login").headers["location"] == "/"
    assert local.post("/submit", data={"spec": tiny_text}).headers["location"] == "/sweeps/tiny"
    assert "Log out" not in local.get("/").text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", ""]
)
def test_without_tokens_no_site_calls_us_by_a_name_of_its_own(local: Any, host: str) -> None:
    """Its name can mean this machine, and its pages would then be of the same origin."""
    for path in ("/", "/v1/sweeps"):
        assert local.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8700", "127.0.0.1", "[::1]:8700"])
def test_without_tokens_this_machine_calls_us(local: Any, host: str) -> None:
    assert local.get("/v1/sweeps", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://a.b"}])
def test_without_tokens_no_other_site_changes_anything(
    local: Any, ledger: Ledger, tiny_text: str, headers: dict[str, str]
) -> None:
    local.post("/submit", data={"spec": tiny_text})
    del local.headers["Sec-Fetch-Site"]
    for path in ("/v1/sweeps/tiny/stop", "/sweeps/tiny/stop"):
        assert local.post(path, headers=headers).status_code == 403
    assert queue.entries(ledger.engine)[0].is_wanted
    # Programs say nothing of the kind.
    assert local.post("/v1/sweeps/tiny/stop").status_code == 202


def test_who_tries_tokens_too_often_waits(
    home: Home, ledger: Ledger, browser_of: Callable[..., Any], stranger: Any
) -> None:
    limits = Limits(calls_per_s=1, calls_at_once=3)
    app = create_app(ledger, home, jobs=None, wake=lambda: None, limits=limits)
    client = type(stranger)(app, headers=stranger.headers)
    statuses = [client.post("/login", data={"token": "x"}).status_code for _ in range(5)]
    assert statuses[:3] == [401, 401, 401]
    assert statuses[4] == 429
