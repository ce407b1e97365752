"""What people see of a sweep: which runs stand out, the search so far, what is attached."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from safetensors import safe_open

from service.tracking import Facts, Projection
from service.tracking.names import standings
from service.trials import Trial
from trainers import Member, Task, TrainingSettings, advance, begin
from trainers.networks import trained_networks

MakeTrial = Callable[..., Trial]


@pytest.fixture
def uri(tmp_path: Path, empty_mlflow: Path) -> str:
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture
def make(uri: str, tmp_path: Path, make_facts: Callable[..., Facts]) -> Callable[[], Projection]:
    """What each driver makes anew."""
    return lambda: Projection(uri, tmp_path / "artifacts", make_facts("seen"))


def by_name(client: MlflowClient) -> dict[str, Run]:
    experiment = client.get_experiment_by_name("monosweep/seen")
    found = client.search_runs([experiment.experiment_id])
    return {str(run.info.run_name).partition(":")[0]: run for run in found}


def searched(make_trial: MakeTrial, number: int, value: float) -> Trial:
    return make_trial(
        "search", number, loss_ratio=1.0, loss=1.0 - value / 4, monosemantic_per_feature=value
    )


def test_who_stands_out_is_told_by_name_and_tag_and_by_nobody_else(
    client: MlflowClient, make: Callable[[], Projection], make_trial: MakeTrial
) -> None:
    trials = {f"search/{n}": searched(make_trial, n, value) for n, value in enumerate((0.2, 0.6))}
    projection = make()
    for trial in trials.values():
        projection.project_trial(trial, None)
    projection.stand(standings(trials["search/0"], None), trials)
    assert set(by_name(client)) == {"search/0 best so far", "search/1"}
    # Another driver learns from the runs who stood out.
    make().stand(standings(trials["search/1"], None), trials)
    found = by_name(client)
    assert set(found) == {"search/0", "search/1 best so far"}
    assert "standing" not in found["search/0"].data.tags
    assert found["search/1 best so far"].data.tags["standing"] == "best so far"
    verdict = {"winner": {"trial": "search/0"}, "finalists": []}
    make().stand(standings(trials["search/1"], verdict), trials)
    assert set(by_name(client)) == {"search/0 winner", "search/1"}
    winner = client.search_runs([found["search/0"].info.experiment_id], "tags.standing = 'winner'")
    assert [run.info.run_name for run in winner] == ["search/0 winner: bias 0 decay 0 k 64"]


def test_a_run_that_was_deleted_stands_out_again_when_it_is_back(
    client: MlflowClient, make: Callable[[], Projection], make_trial: MakeTrial
) -> None:
    trial = searched(make_trial, 0, 0.2)
    projection = make()
    wanted = standings(trial, None)
    projection.stand(wanted, {trial.trial_id: trial})  # it has no run yet
    run_id = projection.project_trial(trial, None)
    projection.stand(wanted, {trial.trial_id: trial})
    client.delete_run(run_id)
    projection.project_trial(trial, None)
    projection.stand(wanted, {trial.trial_id: trial})
    assert set(by_name(client)) == {"search/0 best so far"}


def test_the_summary_has_ceiling_and_best_as_curves_over_trials(
    client: MlflowClient, make: Callable[[], Projection], make_trial: MakeTrial
) -> None:
    baseline = [
        make_trial("baseline", n, seeds=(n,), loss=loss) for n, loss in ((0, 1.0), (1, 3.0))
    ]
    projection = make()
    projection.project_search(baseline, None, 0)
    for num_ended, value in ((1, 0.25), (4, 0.5)):
        projection.project_search(baseline, searched(make_trial, num_ended, value), num_ended)
    summary = by_name(client)["summary"]
    assert summary.data.metrics["search.baseline_loss"] == 2.0
    assert summary.data.metrics["search.ceiling"] == 3.0  # the margin is a half
    assert summary.data.tags["best"] == "search/4"
    history = client.get_metric_history(summary.info.run_id, "search.best_monosemantic_per_feature")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (4, 0.5)]


def test_the_numbers_of_a_later_verdict_are_those_that_show(
    client: MlflowClient, make: Callable[[], Projection]
) -> None:
    """A sweep that was extended has another one, whose loss ratio may be lower."""
    for num_ended, mean in ((4, 0.9), (8, 0.7)):
        verdict = {
            "confirmed": False,
            "sentence": "No winner.",
            "loss_margin": 0.5,
            "loss_ratio": {"mean": mean, "low": mean, "high": mean},
            "gain": None,
            "baseline": None,
            "winner": None,
        }
        make().project_summary("name: s\n", verdict, "FINISHED", num_ended=num_ended)
    summary = by_name(client)["summary"]
    assert summary.data.metrics["loss_ratio.mean"] == 0.7
    assert (summary.data.tags["confirmed"], summary.data.tags["winner"]) == ("false", "none")


def test_files_are_attached_under_their_paths_and_replaced(
    client: MlflowClient, make: Callable[[], Projection], tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    for content in ("first", "second"):
        (folder / "report.html").write_text(content)
        (folder / "figures" / "loss.svg").write_text("<svg/>")
        make().attach(folder)
    run_id = by_name(client)["summary"].info.run_id
    assert {file.path for file in client.list_artifacts(run_id)} == {"report.html", "figures"}
    page = client.download_artifacts(run_id, "report.html", str(tmp_path))
    assert Path(page).read_text() == "second"


def test_a_network_is_a_file_that_safetensors_alone_reads(
    client: MlflowClient,
    make: Callable[[], Projection],
    make_trial: MakeTrial,
    tmp_path: Path,
) -> None:
    task = Task(kind="feature_decoder", num_features=12, num_inputs=5, feature_density=0.25)
    member = Member(seed=7, num_neurons=6, learning_rate=0.02)
    state = advance(begin(task, TrainingSettings(num_steps=4, batch_size=8), [member]), 4)
    (network,) = trained_networks(state)
    assert network is not None
    trial = make_trial("confirmation", 0, role="search/3", seeds=(7,), loss=1.0)
    projection = make()
    run_id = projection.project_trial(trial, None)
    assert projection.attach_network(trial, network)
    path = client.download_artifacts(run_id, "network.safetensors", str(tmp_path))
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == ["bias", "decoder", "encoder", "projection"]
        assert file.get_tensor("projection").shape == (5, 12)
        np.testing.assert_array_equal(file.get_tensor("encoder"), network.encoder)
        assert file.metadata()["nonlinearity"] == "relu"
    # A user may delete the run; nothing is made that has a network and no numbers.
    client.delete_run(run_id)
    assert not projection.attach_network(trial, network)
    assert by_name(client) == {}


def test_what_a_user_made_of_description_and_views_stays(
    client: MlflowClient, make: Callable[[], Projection]
) -> None:
    experiment_id = make().experiment_id
    tags = client.get_experiment(experiment_id).tags
    assert tags["mlflow.note.content"].startswith("**Look at:**")
    assert "mlflow.sharedViewState.search" in tags
    client.set_experiment_tag(experiment_id, "mlflow.note.content", "mine")
    assert make().experiment_id == experiment_id
    assert client.get_experiment(experiment_id).tags["mlflow.note.content"] == "mine"


def test_what_is_in_the_tables_is_counted_for_a_file_of_ours(
    make: Callable[[], Projection], make_trial: MakeTrial, tmp_path: Path
) -> None:
    projection = make()
    projection.project_trial(searched(make_trial, 0, 0.5), None)
    projection.analyze()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        counted = {row[0] for row in database.execute("SELECT tbl FROM sqlite_stat1")}
    assert {"runs", "latest_metrics", "tags"} <= counted
