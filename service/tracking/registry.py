"""The winner as a registered model, which ``mlflow.pyfunc`` loads and which predicts.

``models:/monosweep-NAME@winner`` is the one of the newest verdict.
"""

import logging
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

from service.tracking import network_file

if TYPE_CHECKING:
    from trainers.networks import Network

ALIAS = "winner"
SWEEP_TAG, DIGEST_TAG = "monosweep.sweep", "monosweep.network"
_SCRIPT = Path(__file__).with_name("model.py")
# What the script imports.
_NEEDS = ("mlflow", "numpy", "safetensors")
_EXAMPLES = 3

logger = logging.getLogger("monosweep")


def model_name(sweep: str) -> str:
    """What the registry calls a sweep's winner."""
    return f"monosweep-{sweep}"


def register(
    client: MlflowClient, run: Run, sweep: str, network: "Network", trial_id: str
) -> str | None:
    """Make a network the sweep's registered winner, once however often it is asked for.

    Args:
        client: Of the tracking server, which keeps the registry too.
        run: The run whose artifact the model becomes.
        sweep: The sweep's name.
        network: The winner, trained on one seed.
        trial_id: The search trial that won.

    Returns:
        Its version in the registry; None where somebody else's model has that name, which is left
        as it is.
    """
    name = model_name(sweep)
    digest = network_file.digest(network)
    there = client.search_registered_models(f"name = '{name}'")
    if any(found.tags.get(SWEEP_TAG) != sweep for found in there):
        logger.warning(
            "the winner is not registered: the registered model %s in MLflow must be one that "
            "monosweep made for the sweep, found another. Rename it, and: monosweep resume %s",
            name,
            sweep,
        )
        return None
    if not there:
        description = f"Winners of the sweep {sweep}, a version for each verdict's."
        client.create_registered_model(name, {SWEEP_TAG: sweep}, description)
    known = [
        found
        for found in client.search_model_versions(f"name = '{name}'")
        if found.tags.get(DIGEST_TAG) == digest
    ]
    number = known[0].version if known else _add(client, run, name, network, trial_id)
    client.set_registered_model_alias(name, ALIAS, number)
    return str(number)


def remove(client: MlflowClient, sweep: str) -> None:
    """Take the sweep's registered model away; one of that name that is not ours is left."""
    for found in client.search_registered_models(f"name = '{model_name(sweep)}'"):
        if found.tags.get(SWEEP_TAG) == sweep:
            client.delete_registered_model(found.name)


def save(network: "Network", folder: Path) -> None:
    """Write a network as a model of MLflow's.

    Args:
        network: The network.
        folder: Made by this.
    """
    # Seconds of imports, which only a winner needs.
    import mlflow.pyfunc  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    projection = network.projection
    num_inputs, num_outputs = network.encoder.shape[1], network.decoder.shape[1]
    weights = folder.with_name(network_file.NAME)
    weights.write_bytes(network_file.as_bytes(network))
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(_SCRIPT),
        artifacts={"network": str(weights)},
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("float64"), (-1, num_inputs))]),
            outputs=Schema([TensorSpec(np.dtype("float64"), (-1, num_outputs))]),
        ),
        # What it sees of one feature alone, for the first few features.
        input_example=projection.T[:_EXAMPLES].astype(np.float64),
        pip_requirements=[f"{package}=={version(package)}" for package in _NEEDS],
    )


def _add(client: MlflowClient, run: Run, name: str, network: "Network", trial_id: str) -> str:
    digest = network_file.digest(network)
    # A folder of its own: what earlier versions were made of stays as it was.
    path = f"model-{digest[:8]}"
    with TemporaryDirectory() as place:
        folder = Path(place) / "model"
        save(network, folder)
        client.log_artifacts(run.info.run_id, str(folder), path)
    made = client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/{path}",
        run_id=run.info.run_id,
        tags={DIGEST_TAG: digest, "trial": trial_id, "seed": str(network.member.seed)},
        description=_described(network, trial_id),
    )
    return str(made.version)


def _described(network: "Network", trial_id: str) -> str:
    member, task = network.member, network.task
    return (
        f"The settings of `{trial_id}`, trained on seed {member.seed}: {member.num_neurons} "
        f"neurons ({member.nonlinearity}) for {task.num_features} features seen through "
        f"{task.num_inputs} inputs, task `{task.kind}`. It takes inputs x of shape "
        f"`[B, {task.num_inputs}]`; `model.unwrap_python_model().embed(features)` makes them of "
        f"features `[B, {task.num_features}]`, and `.activations(x)` are its neurons' answers."
    )
