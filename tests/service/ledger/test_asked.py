"""Optuna's half as we read it is what Optuna itself reads, on every database."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from service.errors import LedgerError
from service.home import Home
from service.ledger import Ledger, Writer, release, tables, take
from service.ledger.asked import asked, told
from service.trials import PHASES, Point, Told

VARIED: dict[str, BaseDistribution] = {
    "bias": FloatDistribution(-1.0, 1.0),
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "width": IntDistribution(64, 1024, step=64),
    "nonlinearity": CategoricalDistribution(["relu", "gelu", "solu"]),
}


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with closing(Ledger(home.ledger_url)) as ledger:
        for name in ("s", "other"):
            ledger.create_sweep(name, spec_text="", settings={}, versions={}, num_trials=5)
        yield ledger


@pytest.fixture
def writer(ledger: Ledger) -> Iterator[Writer]:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.create_studies(["maximize", "minimize"])
        yield writer
    release(ledger.engine, lease)


numbers = st.floats(allow_nan=False, width=64)
points = st.fixed_dictionaries(
    {
        "bias": st.floats(-1.0, 1.0),
        "rate": st.floats(1e-3, 1.0),
        "width": st.integers(1, 16).map(lambda count: 64 * count),
        "nonlinearity": st.sampled_from(["relu", "gelu", "solu"]),
    }
)
ends = st.none() | st.builds(
    Told,
    st.none() | st.tuples(numbers, numbers),
    st.dictionaries(
        st.sampled_from(["loss_ratio", "num_neurons"]), st.floats(-1e6, 1e6), max_size=2
    ),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    trials=st.lists(
        st.tuples(points, st.sets(st.sampled_from(sorted(VARIED))), ends), min_size=1, max_size=4
    )
)
def test_what_is_read_is_what_optuna_reads(
    ledger: Ledger, writer: Writer, trials: list[tuple[dict[str, float], set[str], Told | None]]
) -> None:
    """Values beyond every number, settings that are fixed or not, told in part or not at all."""
    writer._studies.delete()
    writer.create_studies(["maximize", "minimize"])
    for number, (point, varied, end) in enumerate(trials):
        asked_for = Point(
            settings=point,
            seeds=(number, 7),
            varied=tuple(varied),
            memory={"generation": number},
        )
        writer.add_trials("search", number, [asked_for], f"search-{number // 2}", VARIED)
        if end is not None:
            writer.tell({f"search/{number}": end})
    with tables.snapshot(ledger.engine) as connection:
        mine, ended = asked(connection, "s"), told(connection, "s")
    theirs = ledger.storage.get_all_trials(ledger.storage.get_study_id_from_name("s"))
    assert list(mine) == [f"search/{trial.number}" for trial in theirs]
    for one, other in zip(mine.values(), theirs, strict=True):
        assert list(one.params.items()) == list(other.params.items())
        assert {name: type(value) for name, value in one.params.items()} == {
            name: type(value) for name, value in other.params.items()
        }
        attrs = {name: value for name, value in other.user_attrs.items() if name != "checksum"}
        assert one.attrs == attrs
        assert one.is_told == other.state.is_finished()
    assert ended == {
        f"search/{trial.number}": Told(
            tuple(trial.values) if trial.state.name == "COMPLETE" else None, trial.constraints
        )
        for trial in theirs
        if trial.state.is_finished()
    }


def test_each_phase_and_each_sweep_has_its_own(ledger: Ledger, writer: Writer) -> None:
    point = Point(settings={}, seeds=(3,))
    for phase in PHASES:
        for number in (0, 1):
            writer.add_trials(phase, number, [point], f"{phase}-0")
    with tables.snapshot(ledger.engine) as connection:
        everything = [f"{phase}/{number}" for phase in PHASES for number in (0, 1)]
        assert list(asked(connection, "s")) == everything
        assert list(asked(connection, "s", ["search"])) == ["search/0", "search/1"]
        assert asked(connection, "other") == told(connection, "other") == {}


def test_what_was_not_told_is_told_and_what_was_is_compared(ledger: Ledger, writer: Writer) -> None:
    point = Point(settings={}, seeds=(3,))
    for number in (0, 1):
        writer.add_trials("search", number, [point], "search-0")
    first, second = Told((0.5, 2.0), {"loss_ratio": -0.1}), Told(None, {"loss_ratio": 9.0})
    writer.tell({"search/0": first})
    writer.tell_missing({"search/0": first, "search/1": second})
    with tables.snapshot(ledger.engine) as connection:
        assert told(connection, "s") == {"search/0": first, "search/1": second}
    with pytest.raises(LedgerError, match="what Optuna was told of search/1 changed"):
        writer.tell_missing({"search/1": first})


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        # What that text alone is refused with.
        ({0: "1,2"}, "Extra data: line 1 column 2 (char 1)"),
        ({1: ""}, "Expecting value: line 1 column 1 (char 0)"),
        ({2: '{"a'}, "Unterminated string"),
        # As one text each of these is three values.
        ({0: "[1", 1: "2]", 2: "3,4"}, "changed since"),
        ({0: "3,4", 1: '"a', 2: 'b"'}, "changed since"),
    ],
)
def test_text_that_is_none_is_named_wherever_it_is(
    ledger: Ledger, writer: Writer, damaged: dict[int, str], said: str
) -> None:
    point = Point(settings={}, seeds=(3,))
    writer.add_trials("search", 0, [point] * 3, "search-0")
    attributes = sqlalchemy.table(
        "trial_user_attributes", *map(sqlalchemy.column, ("trial_user_attribute_id", "value_json"))
    )
    place = attributes.c.trial_user_attribute_id
    with tables.writing(ledger.engine) as connection:
        places = list(connection.scalars(sqlalchemy.select(place).order_by(place)))
        for number, text in damaged.items():
            connection.execute(
                sqlalchemy.update(attributes).where(place == places[number]).values(value_json=text)
            )
    with tables.snapshot(ledger.engine) as connection, pytest.raises(LedgerError) as refused:
        asked(connection, "s")
    assert said in str(refused.value)


def test_what_a_snapshot_reads_is_of_one_moment(ledger: Ledger, writer: Writer) -> None:
    point = Point(settings={}, seeds=(3,))
    writer.add_trials("search", 0, [point], "search-0")
    with tables.snapshot(ledger.engine) as connection:
        before = asked(connection, "s")
        writer.add_trials("search", 1, [point], "search-0")
        assert asked(connection, "s") == before
    with tables.snapshot(ledger.engine) as connection:
        assert len(asked(connection, "s")) == 2
