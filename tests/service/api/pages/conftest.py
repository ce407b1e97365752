"""A server's pages in process, with people who are logged in by tokens of each role."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from service.api.app import create_app
from service.api.limits import Limits
from service.api.pages.links import Link
from service.home import Home
from service.ledger import Ledger, tokens

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

# What a browser says of a form of our own page.
OURS = {"Sec-Fetch-Site": "same-origin"}
LINKS = (Link("MLflow", "https://mlflow.example/"), Link("Ray", "https://ray.example/"))


class Text(HTMLParser):
    """What a page says, and the tags that it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def said(self) -> str:
        return " ".join(self.words)

    def forms(self) -> set[str]:
        """Where its forms go that change something."""
        found = [attributes for tag, attributes in self.tags if tag == "form"]
        return {str(one["action"]) for one in found if one.get("method") == "post"}

    def links(self) -> set[str]:
        return {str(attributes["href"]) for tag, attributes in self.tags if tag == "a"}


@pytest.fixture(scope="session")
def read() -> Callable[[Any], Text]:
    """``read(answer)``: what a page says."""
    return lambda answer: Text(answer.text)


@pytest.fixture
def ledger(home: Home, new_ledger: tuple[Path, dict[str, str]]) -> Iterator[Ledger]:
    home.path.mkdir()
    shutil.copy(new_ledger[0], home.path / "ledger.db")
    with closing(Ledger(home.ledger_url)) as ledger:
        yield ledger


@pytest.fixture
def stranger(home: Home, ledger: Ledger) -> Iterator[TestClient]:
    """A browser that is not logged in."""
    app = create_app(
        ledger, home, jobs=None, wake=lambda: None, limits=Limits(trials=100), links=LINKS
    )
    with TestClient(app, follow_redirects=False, headers=OURS) as client:
        yield client


@pytest.fixture
def browser_of(stranger: TestClient, ledger: Ledger) -> Callable[..., TestClient]:
    """``browser_of("ada", "submitter")``: a browser that is logged in."""

    def logged_in(name: str, role: tokens.Role) -> TestClient:
        client = TestClient(stranger.app, follow_redirects=False, headers=OURS)
        token = tokens.create(ledger.engine, name, role)
        answer = client.post("/login", data={"token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        return client

    return logged_in


@pytest.fixture
def ada(browser_of: Callable[..., TestClient]) -> TestClient:
    """Who submits."""
    return browser_of("ada", "submitter")
