"""Rows that are written as Optuna would write them."""

import math
from collections.abc import Iterator
from contextlib import closing

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.errors import LedgerError
from service.ledger import Ledger, Writer, take
from service.trials import Point, Told

VARIED: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "num_neurons": IntDistribution(64, 512, step=64),
    "nonlinearity": CategoricalDistribution(["relu", "gelu"]),
}
SETTINGS = {"learning_rate": 0.1 + 0.2, "num_neurons": 192, "nonlinearity": "gelu", "l1": 0.0}
POINTS = [
    Point(settings=SETTINGS, seeds=(3, 1), varied=tuple(VARIED)),
    Point(settings=SETTINGS, seeds=(3,), varied=("num_neurons",), same_as="baseline/0"),
    Point(settings=SETTINGS, seeds=(3,), memory={"generation": 2}, role="winner"),
]
ENDS = [
    Told((0.25, math.inf), {"loss_ratio": -0.1, "num_neurons": 3.0}),
    Told(None, {"loss_ratio": 1e300}),
    Told((-math.inf, 1e-320), {}),
]


@pytest.fixture
def writer(ledger_url: str) -> Iterator[Writer]:
    with closing(Ledger(ledger_url)) as ledger:
        ledger.create_sweep("s", spec_text="", settings={}, versions={}, num_trials=3)
        with closing(Writer(ledger, take(ledger.engine, "s"))) as writer:
            writer.create_studies(["maximize", "minimize"])
            yield writer


def read(writer: Writer) -> list[FrozenTrial]:
    """By Optuna's public functions."""
    study = optuna.load_study(study_name="s", storage=writer.ledger.storage)
    return study.get_trials()


def test_optuna_reads_what_it_would_have_written_itself(writer: Writer) -> None:
    writer.add_trials("search", 0, POINTS, "search-0", VARIED)
    theirs = optuna.create_study(directions=["maximize", "minimize"])
    for point, mine in zip(POINTS, read(writer), strict=True):
        theirs.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params={name: point.settings[name] for name in point.varied},
                distributions={name: VARIED[name] for name in point.varied},
                user_attrs=mine.user_attrs,
            )
        )
    assert_alike(read(writer), theirs.trials)
    writer.tell({f"search/{number}": end for number, end in enumerate(ENDS)})
    for number, end in enumerate(ENDS):
        trial = optuna.Trial(theirs, theirs.trials[number]._trial_id)
        for name, value in end.constraints.items():
            trial.set_constraint(name, value)
        state = TrialState.PRUNED if end.values is None else TrialState.COMPLETE
        theirs.tell(trial, end.values, state=state)
    assert_alike(read(writer), theirs.trials)


def assert_alike(ours: list[FrozenTrial], theirs: list[FrozenTrial]) -> None:
    """In all but the moments, which are a second apart at the most."""
    names = ("number", "state", "params", "distributions", "user_attrs", "system_attrs")
    for mine, other in zip(ours, theirs, strict=True):
        for name in names:
            assert getattr(mine, name) == getattr(other, name), name
        assert list(mine.params) == list(other.params)
        assert (mine.values, mine.constraints) == (other.values, other.constraints)
        for when in ("datetime_start", "datetime_complete"):
            one, another = getattr(mine, when), getattr(other, when)
            assert (one is None) is (another is None)
            assert one is None or abs((one - another).total_seconds()) < 60.0


def test_attributes_say_with_whom_and_what(writer: Writer) -> None:
    writer.add_trials("search", 0, POINTS, "search-0", VARIED)
    attrs = [
        {name: value for name, value in trial.user_attrs.items() if name != "checksum"}
        for trial in read(writer)
    ]
    common = {"cohort_id": "search-0", "settings": SETTINGS}
    assert attrs == [
        {**common, "seeds": [3, 1], "role": None},
        {**common, "seeds": [3], "role": None, "same_as": "baseline/0"},
        {**common, "seeds": [3], "role": "winner", "memory": {"generation": 2}},
    ]


def test_who_was_not_heard_of_is_created_once(writer: Writer) -> None:
    for _ in range(2):
        writer.add_trials("search", 0, POINTS[:2], "search-0", VARIED)
    writer.add_trials("search", 2, POINTS[2:], "search-1", VARIED)
    assert [trial.number for trial in read(writer)] == [0, 1, 2]


@pytest.mark.parametrize("first", [0, 3])
def test_numbers_have_no_holes_and_are_given_once(writer: Writer, first: int) -> None:
    writer.add_trials("search", 0, POINTS[:2], "search-0", VARIED)
    with pytest.raises(LedgerError, match="the numbers of search's trials changed"):
        writer.add_trials("search", first, POINTS[:1] if first else POINTS, "search-1", VARIED)
    assert len(read(writer)) == 2


def test_one_that_is_not_there_cannot_be_ended(writer: Writer) -> None:
    writer.add_trials("search", 0, POINTS[:1], "search-0", VARIED)
    with pytest.raises(LedgerError, match="the numbers of search's trials changed"):
        writer.tell({"search/0": ENDS[0], "search/1": ENDS[1]})
    assert not read(writer)[0].state.is_finished()
