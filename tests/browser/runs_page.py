"""MLflow's list of runs, as somebody uses it."""

from typing import Any

VIEW = "?viewStateShareKey=search&compareRunsMode=TABLE&workflowType=machine_learning"
_ASKS_FOR_RUNS = "runs/search"


def open_list(page: Any, experiment: str) -> None:
    """Open the list of a sweep's search anew, and wait for its first run.

    Args:
        page: The browser's page.
        experiment: Where the experiment's pages begin.
    """
    page.goto("about:blank")
    page.goto(f"{experiment}{VIEW}")
    page.get_by_role("link", name="search/").first.wait_for()


def sort_by(page: Any, metric: str) -> None:
    """Sort the list by a metric's column, or the other way round, and wait for its runs."""
    with page.expect_response(lambda response: _ASKS_FOR_RUNS in response.url) as asked:
        page.get_by_role("columnheader", name=metric, exact=True).first.click()
    first = asked.value.json()["runs"][0]["info"]["run_name"]
    page.get_by_role("link", name=first).first.wait_for()


def shown(page: Any) -> list[str]:
    """The names of the runs on the screen, from the top."""
    names: list[str] = page.get_by_role("link", name="search/").all_inner_texts()
    return names
