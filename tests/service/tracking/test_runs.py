"""Which runs are a sweep's: the same whether MLflow is asked, or its database."""

from pathlib import Path

from mlflow import MlflowClient

from service.tracking.runs import (
    SUMMARY_TAG,
    TRIAL_TAG,
    Listed,
    _from_server,
    by_trial,
    our_runs,
)


def test_a_database_lists_what_mlflows_search_finds(tmp_path: Path, empty_mlflow: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mine, other = (client.create_experiment(name) for name in ("mine", "other"))

    def made(experiment: str, at: int, **tags: str) -> str:
        named = {{"trial": TRIAL_TAG, "summary": SUMMARY_TAG}[key]: tags[key] for key in tags}
        return str(client.create_run(experiment, start_time=at, tags=named).info.run_id)

    second = made(mine, 20, trial="search/1")
    first = made(mine, 10, trial="search/1")
    summary = made(mine, 30, summary="s")
    made(mine, 40)  # a user's own
    made(other, 50, trial="search/2")
    client.delete_run(made(mine, 60, trial="search/3"))
    client.set_terminated(second)
    found = our_runs(client, mine)
    assert found == [
        Listed("search/1", first, 10, is_ended=False),
        Listed("search/1", second, 20, is_ended=True),
        Listed("summary", summary, 30, is_ended=False),
    ]
    assert set(found) == set(_from_server(client, mine))
    assert by_trial(found) == {"search/1": [first, second], "summary": [summary]}
