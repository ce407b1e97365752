"""Which file of a home is damaged, how, and what it was before."""

import random
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mutations import ANY_FILE, Mutation

# Where the files of each kind lie, below the home.
FILES = {
    "ledger": "ledger.db",
    "log": "ledger.db-wal",
    "mlflow": "mlflow.db",
    "checkpoint": "cohorts/*/*/*.safetensors",
    "results": "results/*/*/*.parquet",
    "sweep file": "damage.yaml",
}
VERSIONS = {
    "ledger": (
        "UPDATE monosweep_version SET version = 99",
        "UPDATE monosweep_version SET version = 1",
        "UPDATE alembic_version SET version_num = 'v99'",
    ),
    "mlflow": ("UPDATE alembic_version SET version_num = 'v99'",),
}


@dataclass(frozen=True)
class Damaged:
    """A file that was damaged.

    Attributes:
        how: The name of the mutation.
        path: The file.
        before: Its bytes before.
        after: Its bytes after; None where it is gone.
    """

    how: str
    path: Path
    before: bytes
    after: bytes | None


def choose(kind: str, home: Path, other: Path, rng: random.Random) -> tuple[Path, Mutation]:
    """A file of the kind, and what is to be done to it.

    Args:
        kind: One of ``FILES``.
        home: Whose file.
        other: A home of another sweep, whose file may take its place.
        rng: Decides.
    """
    path = rng.choice(_files(kind, home))
    ways = [*ANY_FILE, _swapped(kind, other, rng), _versioned(kind, path)]
    return path, rng.choice([way for way in ways if way is not None])


def damage_file(path: Path, how: Mutation, rng: random.Random) -> Damaged:
    """Do it."""
    before = path.read_bytes()
    after = how(rng, before)
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)
    return Damaged(how.__name__, path, before, after)


def _files(kind: str, home: Path) -> list[Path]:
    return sorted(home.glob(FILES[kind]))


def _swapped(kind: str, other: Path, rng: random.Random) -> Mutation | None:
    others = _files(kind, other)
    if kind == "checkpoint":
        data = _strange_checkpoint()
    elif others:
        data = rng.choice(others).read_bytes()
    else:
        return None

    def swapped(_rng: random.Random, _data: bytes) -> bytes:
        return data

    return swapped


def _strange_checkpoint() -> bytes:
    import trainers

    settings = {"num_neurons": 64, "nonlinearity": "relu", "learning_rate": 0.02}
    member = trainers.Member(seed=5, initial_bias=0.0, bias_decay=0.0, l1=0.0, **settings)
    task = trainers.Task(
        kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.03125
    )
    training = trainers.TrainingSettings(num_steps=64, batch_size=32, precision="float32")
    return trainers.to_bytes(trainers.begin(task, training, [member]))


def _versioned(kind: str, path: Path) -> Mutation | None:
    if kind != "checkpoint" and kind not in VERSIONS:
        return None

    def versioned(rng: random.Random, data: bytes) -> bytes:
        if kind == "checkpoint":
            return re.sub(rb'(format_version\\": )\d', rb"\g<1>9", data)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(rng.choice(VERSIONS[kind]))
        return path.read_bytes()

    return versioned
