"""What the pages show and take: to whom, in which words, and never as anybody's HTML."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.api.app import create_app
from service.api.limits import Limits
from service.api.pages import words
from service.home import Home
from service.ledger import Ledger, queue
from service.opened import OpenSweep

HOSTILE = "</textarea></pre><script>alert(1)</script><img src=x onerror=alert(1)>"
# What Google's CSP Evaluator and OWASP ask of a page without foreign parts.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def submit(client: Any, text: str, **fields: str) -> Any:
    return client.post("/submit", data={"spec": text, **fields})


@pytest.fixture
def tiny(ada: Any, tiny_text: str) -> Any:
    """Ada's browser, and in the queue a sweep of hers."""
    answer = submit(ada, tiny_text)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sweeps/tiny")
    return ada


@pytest.mark.parametrize("path", ["/", "/login", "/submit", "/sweeps/tiny", "/sweeps/none"])
def test_a_page_is_closed_to_everything_from_elsewhere(tiny: Any, path: str) -> None:
    headers = tiny.get(path).headers
    parts = [part.split(" ", 1) for part in headers["content-security-policy"].split("; ")]
    assert dict(parts) == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/login", "/submit", "/sweeps/tiny", "/", "/sweeps/tiny/log"])
def test_a_page_needs_no_exception_from_that(
    tiny: Any, read: Callable[[Any], Any], path: str
) -> None:
    for tag, attributes in read(tiny.get(path)).tags:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        if tag == "script":
            assert attributes["src"] == "/static/pages.js"


@pytest.mark.parametrize("name", ["pages.css", "pages.js", "icon.svg"])
def test_what_pages_load_is_there_for_everybody(stranger: Any, name: str) -> None:
    answer = stranger.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_beside_it_is(stranger: Any) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/none.js"):
        assert stranger.get(path).status_code in (401, 404)


def test_an_empty_server_says_how_to_begin(browser_of: Callable[..., Any]) -> None:
    submitter, viewer = browser_of("ada", "submitter"), browser_of("vic", "viewer")
    assert "There are no sweeps yet" in submitter.get("/").text
    assert "monosweep submit quickstart" in submitter.get("/").text
    assert "ask an admin for a token" in viewer.get("/").text


def test_the_list_shows_where_sweeps_stand_newest_first(
    tiny: Any, tiny_text: str, read: Callable[[Any], Any]
) -> None:
    submit(tiny, tiny_text, name="second")
    page = read(tiny.get("/"))
    names = [str(one["href"]) for tag, one in page.tags if tag == "a" and "id" in one]
    assert names == ["/sweeps/second", "/sweeps/tiny"]
    assert "tiny queued place 1 baseline 0 of 4 none yet ada" in page.said


def test_the_list_is_filtered_by_its_address(
    tiny: Any, browser_of: Callable[..., Any], tiny_text: str, read: Callable[[Any], Any]
) -> None:
    grace = browser_of("grace", "submitter")
    submit(grace, tiny_text, name="graces")
    grace.post("/sweeps/graces/stop")
    for query, shown in (
        ("", {"tiny", "graces"}),
        ("?owner=grace", {"graces"}),
        ("?stage=queued&owner=", {"tiny"}),
        ("?stage=stopped&owner=ada", set()),
    ):
        found = {one for one in read(tiny.get(f"/{query}")).links() if one.startswith("/sweeps/")}
        assert found == {f"/sweeps/{name}" for name in shown}, query
    assert (
        "No sweep is at the stage stopped of ada"
        in read(tiny.get("/?stage=stopped&owner=ada")).said
    )
    assert tiny.get("/?stage=nonsense").status_code == 422


def test_the_list_goes_on_on_older_pages(
    tiny: Any, tiny_text: str, read: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.pages.looking._NUM_SHOWN", 2)
    for name in ("b", "c", "d", "e"):
        submit(tiny, tiny_text, name=name)
    path, seen = "/", []
    while path:
        page = read(tiny.get(path))
        seen += [str(one["href"]) for tag, one in page.tags if tag == "a" and "id" in one]
        path = next((str(one["href"]) for _, one in page.tags if one.get("rel") == "next"), "")
    assert seen == [f"/sweeps/{name}" for name in ("e", "d", "c", "b", "tiny")]


def test_links_lead_where_the_admin_says_and_nowhere_else(
    tiny: Any, read: Callable[[Any], Any]
) -> None:
    outside = {one for one in read(tiny.get("/sweeps/tiny")).links() if ":" in one}
    assert outside == {"https://mlflow.example/", "https://ray.example/"}


ALL = {"stop", "resume", "extend", "delete"}


@pytest.mark.parametrize(
    ("role", "deeds"),
    [("viewer", set()), ("submitter", set()), ("admin", {"stop", "extend", "delete"})],
)
def test_who_may_not_sees_no_button_and_is_refused(
    tiny: Any,
    browser_of: Callable[..., Any],
    read: Callable[[Any], Any],
    role: str,
    deeds: set[str],
) -> None:
    other = browser_of("other", role)
    forms = read(other.get("/sweeps/tiny")).forms() - {"/logout"}
    assert forms == {f"/sweeps/tiny/{deed}" for deed in deeds}
    if not deeds:
        for deed in ALL:
            answer = other.post(f"/sweeps/tiny/{deed}", data={"confirm": "tiny", "num_trials": "9"})
            assert answer.status_code == 403
            assert answer.headers["content-type"].startswith("text/html")
        assert "It waits for its turn" in tiny.get("/sweeps/tiny").text
    assert (other.get("/submit").status_code == 403) == (role == "viewer")
    assert ("/submit" in read(other.get("/")).links()) == (role != "viewer")


def test_a_sweep_is_stopped_resumed_and_extended_by_its_buttons(
    tiny: Any, read: Callable[[Any], Any], ledger: Ledger
) -> None:
    def forms() -> set[str]:
        return {one.rpartition("/")[2] for one in read(tiny.get("/sweeps/tiny")).forms()}

    assert forms() == {"stop", "extend", "delete", "logout"}
    assert tiny.post("/sweeps/tiny/stop").headers["location"] == "/sweeps/tiny"
    assert forms() == {"resume", "extend", "delete", "logout"}
    assert "It was stopped" in tiny.get("/sweeps/tiny").text
    assert tiny.post("/sweeps/tiny/resume").headers["location"] == "/sweeps/tiny"
    assert "which is next" in tiny.get("/sweeps/tiny").text
    answer = tiny.post("/sweeps/tiny/extend", data={"num_trials": "7"})
    assert answer.headers["location"] == "/sweeps/tiny"
    assert queue.entries(ledger.engine)[0].num_trials == 7
    assert "extends the search to 7 trials" in tiny.get("/sweeps/tiny").text


@pytest.mark.parametrize("given", ["", "x", "4", "-1", "1e3", "101", "9" * 30, "\u0663"])
def test_a_search_is_extended_by_a_larger_number_only(
    tiny: Any, ledger: Ledger, given: str
) -> None:
    answer = tiny.post("/sweeps/tiny/extend", data={"num_trials": given})
    assert answer.status_code == 422
    assert "num_trials must be" in answer.text
    assert queue.entries(ledger.engine)[0].num_trials is None


def test_a_sweep_is_deleted_only_by_its_name(tiny: Any, ledger: Ledger) -> None:
    for given in ("", "Tiny", "other"):
        answer = tiny.post("/sweeps/tiny/delete", data={"confirm": given})
        assert answer.status_code == 422
        assert "must be confirmed by the sweep&#39;s name" in answer.text
    assert [one.name for one in ledger.sweeps()] == ["tiny"]


def test_problems_are_pages(tiny: Any) -> None:
    for path, status in (
        ("/sweeps/none", 404),
        ("/sweeps/tiny/none", 404),
        ("/sweeps/<b>", 404),
        ("/sweeps/tiny/export/none", 422),
    ):
        answer = tiny.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<b>" not in answer.text
    assert tiny.put("/submit").status_code == 405
    assert tiny.post("/submit", json={}).status_code == 415
    assert tiny.post("/submit", data={"spec": "x" * 300_000}).status_code == 413


def test_what_nobody_foresaw_is_a_page_that_tells_nothing(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_found: object) -> str:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(words, "sentence", broken)
    client = type(tiny)(tiny.app, raise_server_exceptions=False, cookies=tiny.cookies)
    answer = client.get("/sweeps/tiny")
    assert answer.status_code == 500
    assert "Something went wrong inside the server" in answer.text
    assert "the inside" not in answer.text
    assert "content-security-policy" in answer.headers


def test_the_form_begins_with_the_quick_start(ada: Any) -> None:
    page = ada.get("/submit").text
    assert "name: quickstart" in page
    assert re.search(r'name="key" value="page-[\w-]{22}"', page)


def test_a_files_mistakes_are_told_by_line_and_nothing_typed_is_lost(
    ada: Any, ledger: Ledger, tiny_text: str, read: Callable[[Any], Any]
) -> None:
    text = tiny_text.replace("num_trials: 4", "num_trials: -4") + "# " + HOSTILE + "\n"
    answer = submit(ada, text.replace("\n", "\r\n"), name="mine", priority="7")
    assert answer.status_code == 422
    page = read(answer)
    assert ("a", {"href": "#spec", "data-line": "8"}) in page.tags
    assert "Line 8 search: {num_trials: -4} num_trials must be" in page.said
    assert HOSTILE in page.said
    assert not [one for tag, one in page.tags if tag == "img" and one.get("src") == "x"]
    # As many as without: nothing that was typed became one.
    assert [tag for tag, _ in page.tags].count("script") == 1
    values = {one.get("name"): one.get("value") for tag, one in page.tags if tag == "input"}
    assert (values["name"], values["priority"]) == ("mine", "7")
    shown = answer.text.split("<textarea")[1].split(">\n", 1)[1].split("</textarea>")[0]
    assert shown.startswith(tiny_text.splitlines()[0] + "\n")
    assert queue.entries(ledger.engine) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "<script>"}, "the name must be a simple word"),
        ({"priority": "x"}, "the priority must be a whole number from -100 to 100"),
        ({"priority": "101"}, "the priority must be a whole number from -100 to 100"),
        ({"spec": "x" * 70_000}, "the sweep file must be at most 65,536 characters"),
    ],
)
def test_the_other_fields_are_checked_too(
    ada: Any, ledger: Ledger, tiny_text: str, fields: dict[str, str], message: str
) -> None:
    answer = ada.post("/submit", data={"spec": tiny_text, **fields})
    assert answer.status_code == 422
    assert message in answer.text
    assert "<script>" not in answer.text
    assert queue.entries(ledger.engine) == []


def test_a_name_in_use_and_the_limits_of_the_server_are_told_beside_the_text(
    tiny: Any, tiny_text: str
) -> None:
    answer = submit(tiny, tiny_text.replace("seeds: 2}", "seeds: 3}"))
    assert answer.status_code == 409
    assert "name: tiny" in answer.text
    larger = submit(tiny, tiny_text.replace("num_trials: 4", "num_trials: 101"), name="larger")
    assert larger.status_code == 422
    assert "search.num_trials must be at most 100 on this server" in larger.text


def test_a_second_click_submits_once(ada: Any, ledger: Ledger, tiny_text: str) -> None:
    for _ in range(2):
        answer = submit(ada, tiny_text, key="page-1", priority="3")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sweeps/tiny")
    (entry,) = queue.entries(ledger.engine)
    assert (entry.owner, entry.priority) == ("ada", 3)


def test_what_somebody_wrote_is_text_on_every_page(
    ada: Any, ledger: Ledger, tiny_text: str, read: Callable[[Any], Any]
) -> None:
    submit(ada, f"{tiny_text}# {HOSTILE}\n")
    entry = queue.entries(ledger.engine)[0]
    queue.record_start(ledger.engine, entry, "job-1")
    seen = replace(entry, num_starts=1)
    assert queue.record_failure(ledger.engine, seen, HOSTILE, 3600.0)
    ada.app.state.backing.board.forget("tiny")
    page = read(ada.get("/sweeps/tiny"))
    assert page.said.count("<script>alert(1)</script>") == 2
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [one for tag, one in page.tags if tag == "img" and one.get("src") == "x"]
    assert "waiting Its last driver came to nothing" in page.said


def test_a_finished_sweep_shows_its_verdict_report_and_tables(
    finished: OpenSweep,
    finished_home: Home,
    stranger: Any,
    read: Callable[[Any], Any],
) -> None:
    ledger = Ledger(finished_home.ledger_url)
    app = create_app(
        ledger,
        finished_home,
        jobs=None,
        wake=lambda: None,
        limits=Limits(),
        needs_token=False,
    )
    client = type(stranger)(app, base_url="http://localhost")
    page = read(client.get("/sweeps/drawn"))
    assert " ".join(str(finished.best()["sentence"]).split()) in page.said
    assert "40 of 40" in page.said
    report = client.get("/sweeps/drawn/report")
    assert report.status_code == 200
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    table = client.get("/sweeps/drawn/export/trials")
    assert table.content[:4] == b"PAR1"
    assert table.headers["content-disposition"] == 'attachment; filename="trials.parquet"'
    ledger.close()
