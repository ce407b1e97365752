"""A real, headless Chromium, and what it saw of a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (1280, 1920)
HEIGHT = 1000
SHOTS = Path(__file__).parents[2] / "build" / "browser"
PATIENCE_MS = 120_000

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",  # tests of containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """The machine's own browser; playwright's is never downloaded."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def started(path: str) -> Iterator[Browser]:
    """A browser, until it is not needed any more."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that was opened.

    Attributes:
        page: The page.
        errors: What it wrote to the console as an error, or threw.
        requests: Every address that it asked for, beside its own.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str]:
        """Whom it asked for anything, over a network."""
        return {found for address in self.requests if (found := urlsplit(address).hostname)}

    def keep(self, name: str) -> None:
        """A screenshot for people, as ``build/browser/NAME-WIDTH.png``."""
        size = self.page.viewport_size
        assert size is not None
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}-{size['width']}.png")


def visit(browser: Browser, address: str, width: int = WIDTHS[0]) -> Visit:
    """Open an address in a browser that knows nothing of earlier visits.

    Args:
        browser: The browser.
        address: ``http://...`` or ``file://...``.
        width: Of the window, in pixels.
    """
    context = browser.new_context(viewport={"width": width, "height": HEIGHT})
    context.set_default_timeout(PATIENCE_MS)
    # MLflow unfolds its assistant over a third of the page at a first visit.
    context.add_init_script(
        "try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true') } "
        "catch {}"
    )
    found = Visit(context.new_page())
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on(
        "console",
        lambda message: found.errors.append(message.text) if message.type == "error" else None,
    )
    found.page.on(
        "request",
        lambda request: found.requests.append(request.url) if request.url != address else None,
    )
    found.page.goto(address)
    return found
