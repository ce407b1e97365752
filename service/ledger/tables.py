"""Our tables, beside Optuna's in one database, and the transactions in which they are used.

Optuna keeps the trials and their parameters; these keep the sweep, the lease, the attempts and
the results. ``alembic_version`` is Optuna's; ours have a version table of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from service.ledger import checksums

metadata = MetaData()

version = Table("monosweep_version", metadata, Column("version", Integer, primary_key=True))

sweeps = Table(
    "monosweep_sweeps",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("spec_text", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("num_trials", Integer, nullable=False),
    Column("resolved", JSON),
    Column("phase", String(16), nullable=False),
    Column("verdict", JSON),
    Column("failure", Text),
    Column("finished_at", Float),
    # When its deletion was begun, which is then always brought to its end.
    Column("deleting_at", Float),
    # Which of the search's budgets ended it (``closed``), and which were lifted since (``lifted``);
    # NULL as long as neither happened.
    Column("budgets", JSON(none_as_null=True)),
    checksums.column(),
)

leases = Table(
    "monosweep_leases",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

attempts = Table(
    "monosweep_attempts",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("cohort_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("outcome", Text),
    # Steps that its cohort had done when it began, and the process that trains it; NULL until its
    # worker said so.
    Column("first_step", Integer),
    Column("worker", Text),
)
# The outcomes of attempts that did not die.
ABANDONED = "abandoned"
RECORDED = "results recorded"
# How the outcome of one begins that ended with its machine, not by anything of its own.
MACHINE_LOST = "machine lost: "

results = Table(
    "monosweep_results",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("trial_id", String(64), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("metrics", JSON, nullable=False),
    Column("replicates", JSON, nullable=False),
    Column("loss_ratio", Float),
    Column("num_steps", Integer, nullable=False),
    Column("train_s", Float, nullable=False),
    # How it stood where trials of its cohort were stopped early; NULL without any such step.
    Column("standings", JSON(none_as_null=True)),
    Column("curves", Text),
    Column("neurons", Text),
    Column("weights", Text),
    Column("ended_at", Float, nullable=False),
    Column("mlflow_run_id", String(64)),
    checksums.column(),
)

# Of other sweeps, from which a search was started warm: those may go on, or be deleted.
earlier_trials = Table(
    "monosweep_earlier_trials",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("trial_id", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("seeds", JSON, nullable=False),
    Column("result", JSON, nullable=False),
    Column("is_same", Boolean, nullable=False),
    checksums.column(),
)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; what it has read stays true until it commits.

    On SQLite it holds the write lock from its start; elsewhere rows are locked as they are read.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads; all that it reads is of one moment.

    On SQLite every one does; PostgreSQL would let each of its selects see a moment of its own.
    """
    isolation = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**isolation) as connection, connection.begin():
        yield connection


def time_now(connection: Connection) -> float:
    """The database's clock in seconds since 1970."""
    return float(connection.scalar(select(now(connection))) or 0.0)


def now(connection: Connection) -> ColumnElement[float]:
    """The database's clock in seconds since 1970, as an expression."""
    if connection.dialect.name == "sqlite":
        return literal_column("(julianday('now') - 2440587.5) * 86400.0", Float)
    return literal_column("extract(epoch from clock_timestamp())", Float)
