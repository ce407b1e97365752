"""The registered winner, on a SQLite file and on a server: it predicts, and holds no pickle."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import MlflowServer

from service.tracking import Facts, Projection, remove
from trainers import Member, Task, TrainingSettings, advance, begin
from trainers.networks import Network, trained_networks

VERDICT: dict[str, Any] = {
    "confirmed": True,
    "sentence": "search/0 wins.",
    "loss_margin": None,
    "loss_ratio": None,
    "gain": None,
    "baseline": None,
    "winner": {"trial": "search/0", "params": {"initial_bias": -0.5}},
}


def trained(kind: str, nonlinearity: str, seed: int = 0) -> Network:
    """A network of 12 features and 5 inputs after a few steps."""
    task = Task(kind=kind, num_features=12, num_inputs=5, feature_density=0.25)
    member = Member(seed=seed, num_neurons=7, nonlinearity=nonlinearity, learning_rate=0.02)
    training = TrainingSettings(num_steps=8, batch_size=16)
    (network,) = trained_networks(advance(begin(task, training, [member]), 8))
    assert network is not None
    return network


@pytest.fixture(scope="module")
def server() -> Iterator[MlflowServer]:
    with closing(MlflowServer()) as server:
        server.start()
        yield server


@pytest.fixture(params=["file", "server"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, empty_mlflow: Path
) -> Iterator[tuple[str, Path | None]]:
    """Where MLflow is, and where artifacts go if that is ours to say."""
    before = mlflow.get_tracking_uri()
    if request.param == "server":
        uri, artifacts = request.getfixturevalue("server").uri, None
    else:
        (tmp_path / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
        uri, artifacts = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts"
    # As a user says it who loads a model; the projection must not need it.
    mlflow.set_tracking_uri(uri)
    yield uri, artifacts
    mlflow.set_tracking_uri(before)


def project(
    store: tuple[str, Path | None], facts: Facts, winner: Network, verdict: Any = VERDICT
) -> MlflowClient:
    uri, artifacts = store
    projection = Projection(uri, artifacts, facts)
    projection.project_summary("name: s\n", verdict, "FINISHED")
    projection.register(verdict["winner"]["trial"], winner)
    return MlflowClient(uri)


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    for module in (pickle, cloudpickle):
        for name in ("load", "loads"):
            monkeypatch.setattr(module, name, refuse)


@pytest.mark.usefixtures("no_pickle")
def test_the_winner_predicts_and_is_registered_once(
    store: tuple[str, Path | None], make_facts: Callable[..., Facts], tmp_path: Path
) -> None:
    network, facts = trained("feature_decoder", "relu"), make_facts("once")
    for _ in range(2):
        client = project(store, facts, network)
    (version,) = client.search_model_versions("name = 'monosweep-once'")
    assert (str(version.version), version.tags["trial"]) == ("1", "search/0")
    model = mlflow.pyfunc.load_model("models:/monosweep-once@winner")
    ours = model.unwrap_python_model()
    features = np.eye(12)[:4]
    inputs = ours.embed(features)
    np.testing.assert_allclose(inputs, features @ network.projection.T)
    # Another implementation: torch's own layers.
    hidden = torch.nn.functional.linear(
        torch.from_numpy(inputs).float(),
        torch.from_numpy(network.encoder),
        torch.from_numpy(network.bias),
    ).relu()
    expected = hidden @ torch.from_numpy(network.decoder)
    np.testing.assert_allclose(model.predict(inputs), expected, atol=1e-5)
    np.testing.assert_allclose(ours.activations(inputs), hidden, atol=1e-5)
    with pytest.raises(MlflowException, match="shape"):
        model.predict(np.zeros((2, 6)))
    files = mlflow.artifacts.download_artifacts("models:/monosweep-once@winner", dst_path=tmp_path)
    names = {path.name for path in Path(files).rglob("*") if path.is_file()}
    assert {"MLmodel", "model.py", "network.safetensors"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]


@pytest.mark.parametrize(
    ("nonlinearity", "act"),
    [("gelu", torch.nn.functional.gelu), ("solu", lambda pre: pre * torch.exp(pre))],
)
def test_other_nonlinearities_and_the_reprojector(
    tmp_path: Path,
    empty_mlflow: Path,
    make_facts: Callable[..., Facts],
    nonlinearity: str,
    act: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    network = trained("random_reprojector", nonlinearity)
    client = project((uri, tmp_path / "artifacts"), make_facts("other"), network)
    source = client.get_model_version_by_alias("monosweep-other", "winner").source
    inputs = np.random.default_rng(0).standard_normal((3, 5))
    hidden = act(torch.from_numpy(inputs @ network.encoder.T + network.bias))
    outputs = mlflow.pyfunc.load_model(source).predict(inputs)
    assert outputs.shape == (3, 5)  # m again, not N
    np.testing.assert_allclose(outputs, hidden @ torch.from_numpy(network.decoder).double())


def test_another_verdict_is_another_version_and_deletion_takes_all(
    store: tuple[str, Path | None], make_facts: Callable[..., Facts]
) -> None:
    facts = make_facts("several")
    for seed in (0, 1):
        network = trained("feature_decoder", "relu", seed)
        client = project(store, facts, network)
        client.create_registered_model(f"monosweep-other-{seed}-{store[1] is None}")
    versions = client.search_model_versions("name = 'monosweep-several'")
    assert {version.tags["seed"] for version in versions} == {"0", "1"}
    assert client.get_model_version_by_alias("monosweep-several", "winner").tags["seed"] == "1"
    # The first one is still what it was.
    first = mlflow.pyfunc.load_model("models:/monosweep-several/1").unwrap_python_model()
    np.testing.assert_array_equal(first.encoder, trained("feature_decoder", "relu", 0).encoder)
    remove(store[0], "several")
    left = {model.name for model in client.search_registered_models()}
    assert "monosweep-several" not in left
    assert {f"monosweep-other-{seed}-{store[1] is None}" for seed in (0, 1)} <= left


def test_a_model_of_that_name_that_is_not_ours_is_left_as_it_is(
    store: tuple[str, Path | None],
    make_facts: Callable[..., Facts],
    caplog: pytest.LogCaptureFixture,
) -> None:
    MlflowClient(store[0]).create_registered_model("monosweep-foreign", {"owner": "ada"})
    client = project(store, make_facts("foreign"), trained("feature_decoder", "relu"))
    assert client.search_model_versions("name = 'monosweep-foreign'") == []
    assert client.get_registered_model("monosweep-foreign").aliases == {}
    assert "the winner is not registered" in caplog.text
    client.rename_registered_model("monosweep-foreign", "ada")
    client = project(store, make_facts("foreign"), trained("feature_decoder", "relu"))
    (version,) = client.search_model_versions("name = 'monosweep-foreign'")
    assert client.get_registered_model("monosweep-foreign").aliases == {"winner": version.version}
