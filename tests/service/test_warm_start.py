from collections.abc import Callable
from dataclasses import replace

import pytest

from service import sweep
from service.errors import LedgerError, SweepDeletingError, UserError
from service.home import Home
from service.ledger import Writer, release
from service.planning import Resolved
from service.spec import Spec
from service.trials import EarlierTrial, Result, Trial
from service.warm_start import check, gathered, judged, known

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]
NAME = ("name: tiny", "name: mine")
SEARCH = "search: {num_trials: 4}"
WARM = (SEARCH, "search: {num_trials: 4, warm_start: [tiny]}")
PROPOSED = {"initial_bias": -0.5, "bias_decay": 5.0}
RESOLVED = Resolved(
    cohort_size=1,
    max_concurrent=1,
    sampler="tpe",
    precision="float32",
    device="cpu",
    cpus=1,
    gpus=0.0,
)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("num_features: 64", "num_features: 32"), "task.num_features: 64 -> 32"),
        (("num_steps: 256", "num_steps: 512"), "training.num_steps: 256 -> 512"),
        (
            ("maximize: monosemantic_per_feature", "maximize: feature_coverage"),
            "objective.maximize",
        ),
    ],
)
def test_only_comparable_sweeps_can_be_started_from(
    home: Home, tiny_writer: Writer, make_spec: MakeSpec, change: tuple[str, str], line: str
) -> None:
    """Through the command's own door: nothing is recorded, and the name stays free."""
    with pytest.raises(UserError, match="found differences to 'tiny'") as refused:
        sweep.run(make_spec(NAME, WARM, change), home)
    assert line in str(refused.value)
    assert refused.value.exit_code == 2
    assert tiny_writer.ledger.names() == ["tiny"]


def test_what_each_trial_has_for_itself_may_differ(
    tiny_writer: Writer, make_spec: MakeSpec
) -> None:
    width = ("model: {num_neurons: 64}", "model: {num_neurons: 128}")
    rate = ("learning_rate: 0.02", "learning_rate: 0.01")
    check(tiny_writer.ledger, make_spec(NAME, WARM, width, rate))


def test_a_sweep_that_is_not_there_cannot_be_started_from(
    home: Home, tiny_writer: Writer, make_spec: MakeSpec
) -> None:
    warm = (SEARCH, "search: {num_trials: 4, warm_start: [tini]}")
    with pytest.raises(UserError, match=r"found 'tini', which is not there \(there are: tiny\)"):
        sweep.run(make_spec(NAME, warm), home)


def test_a_sweep_that_is_being_deleted_cannot_be_started_from(
    tiny_writer: Writer, make_spec: MakeSpec
) -> None:
    tiny_writer.begin_deletion()
    with pytest.raises(SweepDeletingError):
        check(tiny_writer.ledger, make_spec(NAME, WARM))


@pytest.fixture
def with_trials(tiny_writer: Writer, make_trial: MakeTrial, record: Callable[..., None]) -> Writer:
    """Two trials that ended and one at work."""
    tiny_writer.record_resolved(RESOLVED.as_json())
    record(
        tiny_writer,
        make_trial("search", 0, seeds=(0,), settings=PROPOSED, loss_ratio=0.9, loss=0.5),
        make_trial("search", 1, state="failed", settings=PROPOSED, reason="diverged: loss 99"),
        make_trial("search", 2, state="running", settings=PROPOSED),
    )
    return tiny_writer


def test_ended_trials_are_gathered_and_kept_with_the_sweep(
    with_trials: Writer, make_spec: MakeSpec
) -> None:
    ledger = with_trials.ledger
    found = gathered(ledger, make_spec(NAME, WARM), RESOLVED, {})
    assert [(one.label, one.result.state, one.is_same) for one in found] == [
        ("search/0 of tiny", "complete", True),
        ("search/1 of tiny", "failed", True),
    ]
    # In whatever sweep's row they are kept.
    with_trials.record_resolved(RESOLVED.as_json(), found)
    assert ledger.earlier_trials("tiny") == found
    with_trials.record_resolved(RESOLVED.as_json(), found[:1])
    assert ledger.earlier_trials("tiny") == found[:1]
    release(ledger.engine, with_trials._lease)


@pytest.mark.parametrize(
    ("versions", "resolved"),
    [({"torch": "1"}, RESOLVED), ({}, replace(RESOLVED, precision="bfloat16"))],
)
def test_results_by_other_versions_or_in_another_precision_teach_but_are_not_taken_over(
    with_trials: Writer, make_spec: MakeSpec, versions: dict[str, str], resolved: Resolved
) -> None:
    found = gathered(with_trials.ledger, make_spec(NAME, WARM), resolved, versions)
    assert [one.is_same for one in found] == [False, False]
    assert known(found) == {}


def test_where_its_files_lie_makes_no_difference(with_trials: Writer, make_spec: MakeSpec) -> None:
    found = gathered(with_trials.ledger, make_spec(NAME, WARM), RESOLVED, {"storage": "elsewhere"})
    assert list(known(found).values()) == ["search/0 of tiny"]


def test_an_earlier_trial_that_was_changed_in_place_is_refused(
    with_trials: Writer, make_spec: MakeSpec
) -> None:
    ledger = with_trials.ledger
    found = gathered(ledger, make_spec(NAME, WARM), RESOLVED, {})
    with_trials.record_resolved(RESOLVED.as_json(), found)
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE monosweep_earlier_trials SET seeds = '[9]'")
    with pytest.raises(LedgerError, match="the row of search/0 of tiny changed"):
        ledger.earlier_trials("tiny")


def test_a_loss_is_judged_against_this_sweeps_baseline() -> None:
    result = Result(
        trial_id="search/0",
        attempt=1,
        state="complete",
        replicates=({"loss": 1.0}, {"loss": 3.0}),
        loss_ratio=0.5,
        num_steps=1,
        train_s=0.0,
    )
    one = EarlierTrial(sweep="tiny", settings={}, seeds=(0, 7), result=result, is_same=True)
    # 1 / 2 on its own seed, and 3 / 2.5 where the mean of 2 and 3 stands for seed 7.
    assert judged(one, {0: 2.0, 1: 3.0}).loss_ratio == pytest.approx((0.5 + 1.2) / 2)
    failed = replace(one, result=replace(result, state="failed", replicates=(), loss_ratio=None))
    assert judged(failed, {0: 2.0}).loss_ratio is None
