"""Links to other pages are what an admin says, or none."""

import pytest

from service.api.pages.links import Link, links_from_environment
from service.errors import UserError

MLFLOW, RAY = "MONOSWEEP_MLFLOW_PAGES", "MONOSWEEP_RAY_PAGES"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (MLFLOW, RAY):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265")
    assert links_from_environment() == ()
    monkeypatch.setenv(RAY, "https://host/ray/")
    assert links_from_environment() == (Link("Ray", "https://host/ray/"),)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "host", "//host", "https://", "file:///x"]
)
def test_what_is_no_address_of_a_page_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(MLFLOW, address)
    with pytest.raises(UserError, match=f"{MLFLOW} must be an address that people open"):
        links_from_environment()


def test_a_password_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MLFLOW, "https://me:hunter2@host/")
    with pytest.raises(UserError, match="without a password") as refused:
        links_from_environment()
    assert "hunter2" not in str(refused.value)
