"""The life of a sweep without Ray: a real ledger, and results by formula instead of training.

The ledger is once on SQLite, once on PostgreSQL, and must say the same.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.cohort import Cohort
from service.errors import LedgerAwayError, SweepFailedError
from service.ledger import Ledger, Writer, release, tables, take
from service.life import Life
from service.planning import Resolved, resolve
from service.room import Machine, Room
from service.spec import parse_spec
from service.storage import Storage, as_parquet
from service.trials import Phase, Point, Result, Trial
from service.warm_start import gathered

Train = Callable[[Trial], Result]

SWEEP = """\
name: tiny
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 256, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: {initial_bias: {float: [-1.0, 0.0]}, num_neurons: {int: [32, 128], step: 32}}
baseline: {num_seeds: 3}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.02}
search: {num_trials: 7}
confirmation: {finalists: 2, num_seeds: 3}
compute: {cohort_size: 3, max_concurrent: 1}
"""


def by_formula(trial: Trial) -> Result:
    """Loss rises and monosemanticity rises as the bias falls; the seed adds a little noise."""
    bias, neurons = float(trial.settings["initial_bias"]), float(trial.settings["num_neurons"])
    replicates = tuple(
        {
            "loss": 1.0 + 0.03 * bias**2 - neurons / 4096 + (seed % 7) / 1000,
            "monosemantic_per_feature": -bias / 2 + neurons / 512 + (seed % 5) / 1000,
            "monosemantic_per_neuron": 0.5,
            "feature_coverage": 0.5,
            "num_dead": 0.0,
            "mean_bias": bias,
        }
        for seed in trial.seeds
    )
    return Result(
        trial_id=trial.trial_id,
        attempt=trial.attempts,
        state="complete",
        metrics={
            name: sum(r[name] for r in replicates) / len(replicates) for name in replicates[0]
        },
        replicates=replicates,
        num_steps=256,
        train_s=1.0,
    )


def failed(trial: Trial) -> Result:
    return Result(
        trial_id=trial.trial_id,
        attempt=trial.attempts,
        state="failed",
        reason="diverged: loss 99",
        num_steps=64,
        train_s=0.1,
    )


@contextmanager
def driver(
    ledger_url: str,
    text: str = SWEEP,
    num_trials: int | None = None,
    storage: Path | str = "unused",
) -> Iterator[Life]:
    """A driver that holds the lease; the sweep is made if it is not there."""
    spec = parse_spec(text, origin="test")
    ledger = Ledger(ledger_url)
    if spec.name not in ledger.names():
        ledger.create_sweep(
            spec.name,
            spec_text=text,
            settings=spec.settings(),
            versions={},
            num_trials=spec.search.num_trials,
        )
    lease = take(ledger.engine, spec.name)
    with closing(ledger), closing(Writer(ledger, lease)) as writer:
        try:
            if num_trials is not None:
                writer.extend(num_trials)
            budget = ledger.sweep(spec.name).num_trials
            resolved: Resolved = resolve(spec, Room((Machine(1, 2**36),)))
            if ledger.sweep(spec.name).resolved is None:
                earlier = gathered(ledger, spec, resolved, {})
                writer.record_resolved(resolved.as_json(), earlier)
            yield Life(
                spec,
                num_trials=budget,
                trials=ledger.trials(spec.name),
                ledger=ledger,
                writer=writer,
                resolved=resolved,
                storage=str(storage),
            )
        finally:
            release(ledger.engine, lease)


def train(life: Life, by: Train = by_formula, *, cohorts: int | None = None) -> int:
    """Train cohorts one at a time until the end, or so many; how many were trained."""
    trained = 0
    while trained != cohorts and (cohort := life.next_cohort()) is not None:
        life.ended(cohort.cohort_id, [by(trial) for trial in cohort.trials])
        trained += 1
    return trained


def told(ledger_url: str) -> list[tuple[str, str, dict[str, object]]]:
    with closing(Ledger(ledger_url)) as ledger:
        return [(t.trial_id, t.state, dict(t.settings)) for t in ledger.trials("tiny")]


def test_a_sweep_goes_from_baseline_to_a_verdict(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life)
        assert life.is_done
        verdict = life.verdict()
        phases = [trial.phase for trial in life.trials]
    assert phases == ["baseline"] * 3 + ["search"] * 7 + ["confirmation"] * len(phases[10:])
    assert verdict["confirmed"] is True
    # By the formula the bias of -1 costs 3% of loss, and its trials are beyond the ceiling of 2%.
    assert -0.95 < verdict["winner"]["settings"]["initial_bias"] < 0.0
    assert verdict["baseline"]["num_neurons"] == 64
    assert verdict["loss_ratio"]["high"] <= 1.02


def test_confirmation_uses_seeds_that_the_search_never_saw(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life)
        seeds = {
            phase: {s for t in life.trials if t.phase == phase for s in t.seeds}
            for phase in ("baseline", "search", "confirmation")
        }
    assert seeds["search"] <= seeds["baseline"]
    assert not seeds["confirmation"] & (seeds["search"] | seeds["baseline"])


def test_optuna_holds_three_studies_with_every_trial_ended(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life)
        num_confirmations = sum(t.phase == "confirmation" for t in life.trials)
    storage = Ledger(ledger_url).storage
    found = {
        study.study_name: [trial.state.name for trial in storage.get_all_trials(study._study_id)]
        for study in storage.get_all_studies()
    }
    assert found == {
        "tiny": ["COMPLETE"] * 7,
        "tiny/baseline": ["COMPLETE"] * 3,
        "tiny/confirmation": ["COMPLETE"] * num_confirmations,
    }
    search = storage.get_all_trials(storage.get_study_id_from_name("tiny"))
    assert all(set(trial.constraints) == {"loss_ratio"} for trial in search)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, object]]:
    ledger_url = f"sqlite:///{tmp_path_factory.mktemp('uninterrupted') / 'ledger.db'}"
    with driver(ledger_url) as life:
        train(life)
    return told(ledger_url)  # type: ignore[return-value]


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=4))
def test_interrupted_anywhere_it_ends_as_if_it_never_was(
    new_ledger_url: Callable[[], str],
    uninterrupted: list[tuple[str, str, object]],
    stops: list[tuple[int, bool]],
) -> None:
    """Each driver trains some cohorts, perhaps starts one more, and is gone."""
    ledger_url = new_ledger_url()
    for cohorts, starts_another in stops:
        with driver(ledger_url) as life:
            train(life, cohorts=cohorts)
            if starts_another and not life.is_done:
                life.next_cohort()
    with driver(ledger_url) as life:
        train(life)
        assert life.is_done
    assert told(ledger_url) == uninterrupted


@contextmanager
def flaky(writer: Writer, outages: Mapping[int, str]) -> Iterator[None]:
    """Its database is away at these of the writer's commits: ``unheard`` ones are done."""
    count, engines = itertools.count(), (writer.ledger.engine, writer._storage.engine)
    for engine in engines:

        def do_commit(
            connection: Any, engine: Any = engine, commit: Any = engine.dialect.do_commit
        ) -> None:
            how = outages.get(next(count))
            if how != "lost":
                commit(connection)
            if how is not None:
                away = engine.dialect.loaded_dbapi.OperationalError("away")
                away.sqlite_errorname = "SQLITE_IOERR"  # as SQLite itself would say
                raise away

        engine.dialect.do_commit = do_commit
    yield
    # What the driver does at its end is not asked again.
    for engine in engines:
        del engine.dialect.do_commit


def patiently(call: Callable[[], Any]) -> Any:
    while True:
        try:
            return call()
        except LedgerAwayError:
            continue


def dies_alone(trial: Trial) -> bool:
    return trial.phase == "search" and trial.number == 4


def train_patiently(life: Life) -> None:
    """To the end, trial ``search/4`` killing its worker each time; every call again and again."""
    while not life.is_done:
        cohort = patiently(life.next_cohort)
        if cohort is None:
            time.sleep(0.01)
        elif any(map(dies_alone, cohort.trials)):
            patiently(lambda c=cohort: life.died(c.cohort_id, "killed"))
        else:
            results = [by_formula(trial) for trial in cohort.trials]
            patiently(lambda c=cohort, r=results: life.ended(c.cohort_id, r))


def seen(ledger_url: str) -> list[tuple[object, ...]]:
    ledger = Ledger(ledger_url)
    told = {
        (phase, number): (trial.state.name, trial.values, trial.constraints)
        for phase, study in (("search", "tiny"), ("baseline", "tiny/baseline"))
        for number, trial in enumerate(
            ledger.storage.get_all_trials(ledger.storage.get_study_id_from_name(study))
        )
    }
    return [
        (
            t.trial_id,
            t.state,
            t.result.reason if t.result is not None else None,
            dict(t.settings),
            t.cohort_id,
            outcomes(ledger, t.cohort_id),
            told.get((t.phase, t.number)),
        )
        for t in ledger.trials("tiny")
    ]


def outcomes(ledger: Ledger, cohort_id: str) -> list[str | None]:
    """How a cohort's attempts ended; one that was begun and not heard of is nobody's."""
    ends = [attempt.outcome for attempt in ledger.attempts("tiny", cohort_id)]
    return [end for end in ends if end != tables.ABANDONED]


@pytest.fixture(scope="module")
def with_one_that_dies(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    ledger_url = f"sqlite:///{tmp_path_factory.mktemp('one-dies') / 'ledger.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.cohort_queue.PAUSES_S", (0.0,))
        with driver(ledger_url) as life:
            train_patiently(life)
    found = seen(ledger_url)
    assert [row[1] for row in found].count("failed") == 1
    return found


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.integers(0, 150), st.sampled_from(["lost", "unheard"]), max_size=25))
def test_a_ledger_that_is_away_at_any_commit_changes_nothing(
    new_ledger_url: Callable[[], str],
    with_one_that_dies: list[tuple[object, ...]],
    outages: dict[int, str],
) -> None:
    """Also where a commit was done and nobody heard of it, and where a cohort is being split."""
    ledger_url = new_ledger_url()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.cohort_queue.PAUSES_S", (0.0,))
        with driver(ledger_url) as life, flaky(life._writer, outages):
            train_patiently(life)
    assert seen(ledger_url) == with_one_that_dies


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("outage", [(0, "unheard"), (1, "unheard"), (2, "lost")])
def test_a_trial_that_is_given_up_while_the_ledger_goes_away_is_given_up_once(
    ledger_url: str, outage: tuple[int, str]
) -> None:
    """Away at the commit of its last death, of its result, or of what Optuna is told."""
    reason = "its worker ended 3 times on this trial alone: killed"
    with driver(ledger_url, SWEEP.replace("cohort_size: 3", "cohort_size: 1")) as life:
        train(life, cohorts=3)
        for attempt in (1, 2, 3):
            cohort = life.next_cohort()
            assert cohort is not None
            assert (cohort.cohort_id, cohort.attempt) == ("search-0", attempt)
            if attempt == 3:
                with flaky(life._writer, dict([outage])), pytest.raises(LedgerAwayError):
                    life.died("search-0", "killed")
            life.died("search-0", "killed")
        (given_up,) = (trial.result for trial in life.trials if trial.trial_id == "search/0")
        assert given_up is not None
        assert (given_up.attempt, given_up.reason) == (3, reason)
        following = life.next_cohort()
        assert following is not None
        assert following.cohort_id == "search-1"
    with closing(Ledger(ledger_url)) as ledger:
        (recorded,) = (t.result for t in ledger.trials("tiny") if t.trial_id == "search/0")
        assert recorded == given_up
        assert outcomes(ledger, "search-0") == ["killed", "killed", tables.RECORDED]


def test_a_driver_that_dies_while_it_asks_leaves_no_hole(
    ledger_url: str, uninterrupted: list[tuple[str, str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version's, killed after two of a cohort's three trials: the third is asked for."""
    with driver(ledger_url) as life:
        train(life, cohorts=1)  # the baseline
        add_trials = life._writer.add_trials

        def add_two(phase: Phase, first: int, points: list[Point], *rest: Any) -> None:
            add_trials(phase, first, points[:2], *rest)
            raise KeyboardInterrupt

        monkeypatch.setattr(life._writer, "add_trials", add_two)
        with pytest.raises(KeyboardInterrupt):
            life.next_cohort()
    assert len([t for t in told(ledger_url) if t[0].startswith("search")]) == 2
    with driver(ledger_url) as life:
        cohort = life.next_cohort()
        assert cohort is not None
        assert [t.trial_id for t in cohort.trials] == ["search/0", "search/1", "search/2"]
        life.ended(cohort.cohort_id, [by_formula(trial) for trial in cohort.trials])
        train(life)
    assert told(ledger_url) == uninterrupted


def test_results_recorded_but_not_told_are_told_by_the_next_driver(
    ledger_url: str, uninterrupted: list[tuple[str, str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver(ledger_url) as life:
        train(life, cohorts=1)
        cohort = life.next_cohort()
        assert cohort is not None
        monkeypatch.setattr(life._writer, "tell", _killed)
        with pytest.raises(KeyboardInterrupt):
            life.ended(cohort.cohort_id, [by_formula(trial) for trial in cohort.trials])
    with driver(ledger_url) as life:
        train(life)
    assert told(ledger_url) == uninterrupted


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_results_that_come_twice_or_of_an_older_attempt_are_dropped(
    ledger_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with driver(ledger_url) as life:
        lost, again = life.next_cohort(), None
        assert lost is not None
        life.died(lost.cohort_id, "its machine was not heard of")
        again = life.next_cohort()
        assert again is not None
        assert (again.cohort_id, again.attempt) == (lost.cohort_id, 2)
        life.ended(lost.cohort_id, [by_formula(trial) for trial in lost.trials])
        assert {trial.state for trial in life.trials} == {"running"}
        results = [by_formula(trial) for trial in again.trials]
        for _ in range(2):
            life.ended(again.cohort_id, results)
    assert [record.getMessage() for record in caplog.records] == [
        "results of baseline-0 came twice, or of an older attempt, and are dropped"
    ] * 2
    found = Ledger(ledger_url).trials("tiny")
    assert [trial.result and trial.result.attempt for trial in found] == [2, 2, 2]


def test_an_extended_sweep_trains_only_what_is_new(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life)
    before = told(ledger_url)
    with driver(ledger_url, num_trials=9) as life:
        train(life)
        assert sum(t.phase == "search" for t in life.trials) == 9
        assert life.verdict()["winner"] is not None
    after = told(ledger_url)
    assert [t for t in after if t in before] == before


def test_an_extended_sweep_that_stops_before_its_new_finalist_is_confirmed_goes_on(
    ledger_url: str,
) -> None:
    """As many trials as its candidates need are there, but they are former candidates'."""

    def best_last(trial: Trial) -> Result:
        result = by_formula(trial)
        is_best = trial.trial_id == "search/8" or trial.role == "search/8"
        more = {"monosemantic_per_feature": 9.0} if is_best else {}
        return replace(
            result,
            metrics={**result.metrics, **more},
            replicates=tuple({**metrics, **more} for metrics in result.replicates),
        )

    with driver(ledger_url) as life:
        train(life, best_last)
    with driver(ledger_url, num_trials=9) as life:
        while sum(t.phase == "search" and t.result is not None for t in life.trials) < 9:
            train(life, best_last, cohorts=1)
    with driver(ledger_url) as life:
        assert not life.is_done
        train(life, best_last)
        assert life.verdict()["winner"]["trial"] == "search/8"
        # Two at a time, one of which was replaced.
        assert life.verdict()["num_confirmed"] == 3
        num_confirmed = sum(t.phase == "confirmation" for t in life.trials)
        assert life._confirmation().num_trials == num_confirmed


def test_a_failed_trial_goes_with_its_reason_and_its_neighbours_stay(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life, lambda t: failed(t) if t.trial_id == "search/1" else by_formula(t))
        states = {t.trial_id: t.state for t in life.trials if t.phase == "search"}
    assert states.pop("search/1") == "failed"
    assert set(states.values()) == {"complete"}
    storage = Ledger(ledger_url).storage
    trial = storage.get_all_trials(storage.get_study_id_from_name("tiny"))[1]
    assert (trial.state.name, trial.constraints) == ("PRUNED", {"loss_ratio": 1e6})


STOPPING = SWEEP + "early_stopping: {first_step: 64, reduction: 2}\n"
CURVES = "results/tiny/baseline-0/curves-1.parquet"


def stopped(trial: Trial) -> Result:
    return Result(
        trial_id=trial.trial_id,
        attempt=trial.attempts,
        state="pruned",
        reason="stopped at step 64: rank 3 of 3 (loss ratio 1.300)",
        num_steps=64,
        train_s=0.1,
    )


def halved(folder: Path) -> Train:
    """The baseline's curves as workers write them, and the first of a search's cohort stopped."""
    rows = [
        {"trial_id": f"baseline/{seed}", "seed": seed, "step": step, "loss": 1.0 + seed / 2}
        for seed in range(3)
        for step in (64, 128, 256)
    ]
    Storage(str(folder)).write_bytes(CURVES, as_parquet(pa.Table.from_pylist(rows)))

    def by(trial: Trial) -> Result:
        if trial.phase == "search" and trial.number % 3 == 0:
            return stopped(trial)
        return replace(by_formula(trial), curves=CURVES)

    return by


def test_only_the_searchs_cohorts_are_stopped_early_and_by_the_baselines_curves(
    ledger_url: str, tmp_path: Path
) -> None:
    found = {}
    by = halved(tmp_path)
    with driver(ledger_url, STOPPING, storage=tmp_path) as life:
        while (cohort := life.next_cohort()) is not None:
            found[cohort.cohort_id] = cohort.early_stopping
            life.ended(cohort.cohort_id, [by(trial) for trial in cohort.trials])
    for cohort_id, early_stopping in found.items():
        if not cohort_id.startswith("search"):
            assert early_stopping is None
            continue
        assert early_stopping is not None
        assert early_stopping.baseline == {64: {0: 1.0}, 128: {0: 1.0}}
    assert {"baseline-0", "search-0", "search-2", "confirmation-0"} <= set(found)


def test_a_stopped_trial_is_told_as_pruned_and_cannot_become_best(
    ledger_url: str, tmp_path: Path
) -> None:
    with driver(ledger_url, STOPPING, storage=tmp_path) as life:
        train(life, halved(tmp_path))
        ends = {t.number: t for t in life.trials if t.phase == "search"}
        roles = {t.role for t in life.trials if t.phase == "confirmation"}
    assert [ends[n].state for n in (0, 3, 6)] == ["pruned"] * 3
    assert all(ends[n].result.loss_ratio is None for n in (0, 3, 6))  # type: ignore[union-attr]
    assert not {f"search/{n}" for n in (0, 3, 6)} & roles
    storage = Ledger(ledger_url).storage
    told = storage.get_all_trials(storage.get_study_id_from_name("tiny"))
    assert [(told[n].state.name, told[n].constraints) for n in (0, 3, 6)] == [("PRUNED", {})] * 3


def test_stopped_trials_and_interruptions_go_together(
    new_ledger_url: Callable[[], str], tmp_path: Path
) -> None:
    whole, cut = new_ledger_url(), new_ledger_url()
    by = halved(tmp_path)
    with driver(whole, STOPPING, storage=tmp_path) as life:
        train(life, by)
    for cohorts in (2, 1, 1):
        with driver(cut, STOPPING, storage=tmp_path) as life:
            train(life, by, cohorts=cohorts)
            life.next_cohort()
    with driver(cut, STOPPING, storage=tmp_path) as life:
        train(life, by)
    assert told(cut) == told(whole)
    assert ("search/3", "pruned") in [(trial_id, state) for trial_id, state, _ in told(cut)]


def test_a_sweep_without_a_feasible_trial_ends_without_a_winner(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life, lambda t: failed(t) if t.phase == "search" else by_formula(t))
        assert life.is_done
        verdict = life.verdict()
    assert (verdict["confirmed"], verdict["winner"]) == (False, None)
    assert verdict["sentence"] == (
        "No winner: of 7 trials none kept its loss within 2% of the baseline's, and 7 of them "
        "failed."
    )


def test_a_baseline_that_cannot_be_trained_ends_the_sweep(ledger_url: str) -> None:
    with driver(ledger_url) as life, pytest.raises(SweepFailedError, match="diverged: loss 99"):
        train(life, failed)


def test_a_cohort_that_dies_is_tried_again(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        first = life.next_cohort()
        assert first is not None
        life.died(first.cohort_id, "worker gone")
        again = life.next_cohort()
        assert again is not None
        assert (again.cohort_id, again.attempt) == (first.cohort_id, 2)
        assert life.next_cohort() is None  # the baseline must end before the search begins


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cohort_queue.PAUSES_S", (0.0,))


def train_with(life: Life, dies: Callable[[Cohort], bool]) -> list[str]:
    """Train to the end; cohorts that die, one after another."""
    died = []
    while (cohort := life.next_cohort()) is not None:
        if dies(cohort):
            died.append(cohort.cohort_id)
            life.died(cohort.cohort_id, "Traceback\nout of memory")
        else:
            life.ended(cohort.cohort_id, [by_formula(trial) for trial in cohort.trials])
    return died


@pytest.mark.usefixtures("_no_pauses")
def test_the_trial_that_kills_its_worker_is_failed_alone_and_the_sweep_goes_on(
    ledger_url: str,
) -> None:
    def dies(cohort: Cohort) -> bool:
        return any(trial.trial_id == "search/1" for trial in cohort.trials)

    with driver(ledger_url) as life:
        died = train_with(life, dies)
        assert life.is_done
        failed_trials = {t.trial_id: t.result for t in life.trials if t.state == "failed"}
        num_search = sum(t.phase == "search" for t in life.trials)
    # Trials 0, 1 and 2; then 1 and 2; then 1 alone; three times each.
    assert died == ["search-0"] * 3 + ["search-0b"] * 3 + ["search-0ba"] * 3
    assert num_search == 7
    (result,) = failed_trials.values()
    assert result is not None
    assert (result.trial_id, result.attempt) == ("search/1", 3)
    assert result.reason == "its worker ended 3 times on this trial alone: out of memory"


@pytest.mark.usefixtures("_no_pauses")
def test_a_driver_that_dies_between_deaths_and_halves_changes_nothing(ledger_url: str) -> None:
    """Every driver sees one death: deaths are counted in the ledger."""

    def dies(cohort: Cohort) -> bool:
        return any(trial.trial_id == "search/1" for trial in cohort.trials)

    died = []
    is_done = False
    while not is_done:
        with driver(ledger_url) as life:
            while (cohort := life.next_cohort()) is not None:
                if dies(cohort):
                    died.append(cohort.cohort_id)
                    life.died(cohort.cohort_id, "out of memory")
                    break
                life.ended(cohort.cohort_id, [by_formula(trial) for trial in cohort.trials])
            is_done = life.is_done
    assert died == ["search-0"] * 3 + ["search-0b"] * 3 + ["search-0ba"] * 3
    assert [t[0] for t in told(ledger_url) if t[1] == "failed"] == ["search/1"]
    assert len([t for t in told(ledger_url) if t[0].startswith("search")]) == 7


@pytest.mark.usefixtures("_no_pauses")
def test_machines_may_die_as_often_as_they_like_while_there_is_progress(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life, cohorts=1)
        for death in range(1, 30):
            cohort = life.next_cohort()
            assert cohort is not None
            assert (cohort.cohort_id, cohort.attempt) == ("search-0", death)
            # Two deaths for each checkpoint.
            life.began(cohort.cohort_id, 64 * (death // 2), "here 1")
            life.died(cohort.cohort_id, "spot")
        train(life)
        assert life.is_done
        assert {trial.state for trial in life.trials} == {"complete"}


@pytest.mark.usefixtures("_no_pauses")
def test_machines_that_are_taken_away_before_any_progress_are_nobodys_fault_for_long(
    ledger_url: str,
) -> None:
    with driver(ledger_url) as life:
        train(life, cohorts=1)
        for _ in range(9):
            cohort = life.next_cohort()
            assert cohort is not None
            assert len(cohort.trials) == 3
            life.died(cohort.cohort_id, "spot", with_machine=True)
        train(life)
        assert {trial.state for trial in life.trials} == {"complete"}


@pytest.mark.usefixtures("_no_pauses")
def test_a_trial_that_takes_ten_machines_with_it_is_given_up(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life, cohorts=1)
        while (cohort := life.next_cohort()) is not None:
            if any(trial.trial_id == "search/1" for trial in cohort.trials):
                life.died(cohort.cohort_id, "no answer", with_machine=True)
            else:
                life.ended(cohort.cohort_id, [by_formula(trial) for trial in cohort.trials])
        (reason,) = (t.result.reason for t in life.trials if t.result and t.result.reason)
    assert reason == "its machine ended 10 times on this trial alone: machine lost: no answer"


@pytest.mark.usefixtures("_no_pauses")
def test_a_death_without_a_word_is_told_too(ledger_url: str) -> None:
    """A worker that was killed may leave an empty file of reasons."""
    with driver(ledger_url) as life:
        for _ in range(12):
            cohort = life.next_cohort()
            assert cohort is not None
            life.died(cohort.cohort_id, " \n")
        reasons = {t.result.reason for t in life.trials if t.result}
    assert reasons == {"its worker ended 3 times on this trial alone: no reason known"}


def test_a_baseline_that_diverges_on_a_seed_of_the_search_ends_the_sweep(ledger_url: str) -> None:
    """Without it no trial has a loss ratio, and the search would find nothing feasible."""
    with driver(ledger_url) as life, pytest.raises(SweepFailedError, match="1 of the search's"):
        train(life, lambda t: failed(t) if t.trial_id == "baseline/0" else by_formula(t))


def test_resuming_enters_the_first_phase_that_is_not_over(ledger_url: str) -> None:
    with driver(ledger_url) as life:
        train(life, cohorts=5)
    with driver(ledger_url):
        assert Ledger(ledger_url).sweep("tiny").phase == "confirmation"


def test_a_tuned_baseline_tries_every_rate_and_keeps_two(ledger_url: str) -> None:
    text = SWEEP.replace(
        "baseline: {num_seeds: 3}", "baseline: {num_seeds: 3, learning_rate: tuned}"
    )

    def best_at_0_007(trial: Trial) -> Result:
        result = by_formula(trial)
        worse = abs(float(trial.settings["learning_rate"]) - 0.007)
        replicates = tuple({**r, "loss": r["loss"] + worse} for r in result.replicates)
        loss = sum(r["loss"] for r in replicates) / len(replicates)
        return replace(result, replicates=replicates, metrics={**result.metrics, "loss": loss})

    with driver(ledger_url, text) as life:
        train(life, best_at_0_007)
        baseline = [t for t in life.trials if t.phase == "baseline"]
        search = [t for t in life.trials if t.phase == "search"]
    rates = [float(t.settings["learning_rate"]) for t in baseline]
    assert sorted(rates[:7]) == [0.001, 0.003, 0.005, 0.007, 0.01, 0.02, 0.03]
    assert sorted(rates[7:]) == [0.005, 0.005, 0.007, 0.007]
    assert {t.settings["learning_rate"] for t in search} == {0.007}


SEVERAL = SWEEP.replace(
    "{maximize: monosemantic_per_feature, loss_margin: 0.02}",
    "{maximize: monosemantic_per_feature, minimize: [loss_ratio, num_neurons], loss_margin: 0.02, "
    "at_most: {mean_bias: -0.2}}",
).replace("finalists: 2", "finalists: 3")


def test_several_objectives_end_with_a_front(ledger_url: str) -> None:
    with driver(ledger_url, SEVERAL) as life:
        train(life)
        said = life.verdict()
    storage = Ledger(ledger_url).storage
    found = {
        study.study_name: [direction.name for direction in study.directions]
        for study in storage.get_all_studies()
    }
    assert found == {
        "tiny": ["MAXIMIZE", "MINIMIZE", "MINIMIZE"],
        "tiny/baseline": ["MINIMIZE"],
        "tiny/confirmation": ["MAXIMIZE", "MINIMIZE", "MINIMIZE"],
    }
    search = storage.get_all_trials(storage.get_study_id_from_name("tiny"))
    assert all(list(trial.constraints) == ["loss_ratio", "mean_bias"] for trial in search)
    # A bias of -0.1 is half of the bound beyond it.
    for trial in search:
        excess = (float(trial.user_attrs["settings"]["initial_bias"]) + 0.2) / 0.2
        assert trial.constraints["mean_bias"] == pytest.approx(excess)
        assert trial.values[2] == trial.user_attrs["settings"]["num_neurons"]
    assert said["confirmed"] is True
    front = [row for row in said["front"] if row["on_front"]]
    assert said["winner"]["trial"] == front[0]["trial"]
    assert all(row["passes"] and row["settings"]["initial_bias"] <= -0.2 for row in front)
    shares = [row["monosemantic_per_feature"]["mean"] for row in front]
    assert shares == sorted(shares, reverse=True)


def test_so_does_one_that_is_interrupted(new_ledger_url: Callable[[], str]) -> None:
    whole, stopped = new_ledger_url(), new_ledger_url()
    with driver(whole, SEVERAL) as life:
        train(life)
        said = life.verdict()
    for cohorts in (1, 1, 0, 2):
        with driver(stopped, SEVERAL) as life:
            train(life, cohorts=cohorts)
            life.next_cohort()
    with driver(stopped, SEVERAL) as life:
        train(life)
        assert life.verdict() == said
    assert told(stopped) == told(whole)


def test_a_search_that_nobody_can_win_has_nothing_to_confirm(ledger_url: str) -> None:
    """No bias of the space is below -1."""
    text = SWEEP.replace("loss_margin: 0.02", "loss_margin: null, at_most: {mean_bias: -2}")
    with driver(ledger_url, text) as life:
        train(life)
        said = life.verdict()
    assert said["front"] == []
    assert said["sentence"] == ("No winner: of 7 trials none kept its mean bias at most -2.")


def test_without_confirmation_a_sweep_ends_with_its_search(ledger_url: str) -> None:
    text = re.sub(r"confirmation: .*", "confirmation: null", SWEEP)
    with driver(ledger_url, text) as life:
        train(life)
        said = life.verdict()
        assert [trial.phase for trial in life.trials].count("search") == 7
        assert not [trial for trial in life.trials if trial.phase == "confirmation"]
    assert (said["winner"], said["finalists"], said["num_seeds"]) == (None, [], 0)
    assert said["sentence"] == (
        "No winner, since the file asks for no confirmation: 7 of 7 trials were trained to the end."
    )


def test_diverged_trials_are_far_beyond_every_limit(ledger_url: str) -> None:
    with driver(ledger_url, SEVERAL) as life:
        train(life, lambda trial: failed(trial) if trial.phase == "search" else by_formula(trial))
    storage = Ledger(ledger_url).storage
    for trial in storage.get_all_trials(storage.get_study_id_from_name("tiny")):
        assert (trial.state.name, trial.values) == ("PRUNED", None)
        assert trial.constraints == {"loss_ratio": 1e6, "mean_bias": 1e6}


# The baseline's own point; then points of which the second cohort has nothing new.
REPEATS = SWEEP.replace(
    "search: {num_trials: 7}",
    """search:
  num_trials: 7
  sampler: random
  enqueue:
    - {initial_bias: 0.0, num_neurons: 64}
    - {initial_bias: -0.5, num_neurons: 64}
    - {initial_bias: -0.25, num_neurons: 32}
    - {initial_bias: -0.25, num_neurons: 32}
    - {initial_bias: 0.0, num_neurons: 64}
    - {initial_bias: -0.5, num_neurons: 64}
""",
)


def test_the_same_point_is_never_trained_twice(ledger_url: str) -> None:
    trained = []

    def counted(trial: Trial) -> Result:
        trained.append(trial.trial_id)
        return replace(by_formula(trial), curves=f"results/tiny/{trial.cohort_id}/curves")

    with driver(ledger_url, REPEATS) as life:
        train(life, counted)
        assert life.is_done
        search = [t for t in life.trials if t.phase == "search"]
    assert [t.same_as for t in search] == [
        "baseline/0",
        None,
        None,
        "search/2",
        "baseline/0",
        "search/1",
        None,
    ]
    assert [one for one in trained if one.startswith("search")] == [
        "search/1",
        "search/2",
        "search/6",
    ]
    assert [t.state for t in search] == ["complete"] * 7
    second, sixth = search[1].result, search[5].result
    assert second is not None
    assert sixth is not None
    assert sixth == replace(
        second,
        trial_id="search/5",
        reason="the same point as search/1, whose result it has",
    )
    first = search[0].result
    assert first is not None
    # Nobody is better at loss than the baseline on its own seed.
    assert first.loss_ratio == 1.0
    assert first.curves == "results/tiny/baseline-0/curves"
    storage = Ledger(ledger_url).storage
    told = storage.get_all_trials(storage.get_study_id_from_name("tiny"))
    assert [trial.state.name for trial in told] == ["COMPLETE"] * 7
    assert told[5].values == told[1].values


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=3),
    st.dictionaries(st.integers(0, 80), st.sampled_from(["lost", "unheard"]), max_size=12),
)
def test_known_results_are_taken_over_once_however_often_the_driver_is_stopped(
    new_ledger_url: Callable[[], str],
    stops: list[tuple[int, bool]],
    outages: dict[int, str],
) -> None:
    """Also where all of a cohort is known, and the ledger is away just then."""
    ledger_url, undisturbed = new_ledger_url(), new_ledger_url()
    for cohorts, starts_another in stops:
        with driver(ledger_url, REPEATS) as life:
            train(life, cohorts=cohorts)
            if starts_another and not life.is_done:
                life.next_cohort()
    with driver(ledger_url, REPEATS) as life, flaky(life._writer, outages):
        while not life.is_done:
            cohort = patiently(life.next_cohort)
            if cohort is not None:
                results = [by_formula(trial) for trial in cohort.trials]
                patiently(lambda c=cohort, r=results: life.ended(c.cohort_id, r))
    with driver(undisturbed, REPEATS) as life:
        train(life)
    assert seen(ledger_url) == seen(undisturbed)


@pytest.mark.usefixtures("_no_pauses")
def test_a_cohort_with_a_known_result_that_kills_its_worker_is_split_like_any(
    ledger_url: str,
) -> None:
    """Of the first cohort search/1 and search/2 are trained, and search/1 is to blame."""
    with driver(ledger_url, REPEATS) as life:
        train_with(life, lambda cohort: any(t.trial_id == "search/1" for t in cohort.trials))
        assert life.is_done
        states = {t.trial_id: (t.state, t.same_as) for t in life.trials if t.phase == "search"}
    assert states["search/0"] == ("complete", "baseline/0")
    assert states["search/1"] == ("failed", None)
    assert states["search/2"] == ("complete", None)
    assert states["search/3"] == ("complete", "search/2")
    # A failed trial has no result to be used: the same point is trained again.
    assert states["search/5"] == ("complete", None)


# A recipe at two widths, which by the formula the sampler's points surpass.
BELIEVED = SWEEP.replace(
    "search: {num_trials: 7}",
    """search:
  num_trials: 7
  enqueue:
    - {initial_bias: -0.125, num_neurons: 32}
    - {initial_bias: -0.125, num_neurons: 64}
""",
)


def stopped_recipe(trial: Trial) -> Result:
    is_one = trial.phase == "search" and trial.number < 2
    return stopped(trial) if is_one else by_formula(trial)


@pytest.mark.parametrize(
    ("by", "role"),
    [(by_formula, "search/1 as enqueued"), (stopped_recipe, "search/0 as enqueued")],
)
def test_the_best_enqueued_point_is_confirmed_wherever_the_driver_is_stopped(
    new_ledger_url: Callable[[], str], by: Train, role: str
) -> None:
    whole, cut = new_ledger_url(), new_ledger_url()
    with driver(whole, BELIEVED) as life:
        train(life, by)
        said = life.verdict()
    for cohorts in (2, 2, 1, 1):
        with driver(cut, BELIEVED) as life:
            train(life, by, cohorts=cohorts)
            life.next_cohort()
    with driver(cut, BELIEVED) as life:
        train(life, by)
        assert life.verdict() == said
    assert told(cut) == told(whole)
    enqueued, best = said["enqueued"], said["winner"]
    assert (enqueued["role"], enqueued["num_seeds"]) == (role, 3)
    assert enqueued["settings"]["initial_bias"] == -0.125
    # The noise is the seed's, so that the gain is the formula's, seed by seed.
    gain = best["monosemantic_per_feature"]["mean"] - enqueued["monosemantic_per_feature"]["mean"]
    assert gain > 0
    ends = enqueued["winner_gain"]
    assert (ends["mean"], ends["low"]) == (pytest.approx(gain), pytest.approx(gain))
    assert said["num_confirmed"] == 2  # finalists alone


WARM = REPEATS.replace("name: tiny", "name: warm").replace("sampler: random", "warm_start: [tiny]")


def warm_sweep(ledger_url: str) -> tuple[str, list[Trial]]:
    """A finished sweep, and a file that starts from it with its third point; its search."""
    with driver(ledger_url) as life:
        train(life)
        earlier = [t for t in life.trials if t.phase == "search"]
    point = {name: earlier[2].settings[name] for name in ("initial_bias", "num_neurons")}
    as_written = str(point).replace("'", "")
    return WARM.replace("{initial_bias: -0.5, num_neurons: 64}", as_written, 1), earlier


def searched(ledger_url: str, text: str) -> list[Trial]:
    with driver(ledger_url, text) as life:
        train(life)
        return [t for t in life.trials if t.phase == "search"]


def test_a_warm_start_learns_from_an_earlier_sweep_and_uses_its_results(
    new_ledger_url: Callable[[], str],
) -> None:
    ledger_url = new_ledger_url()
    text, earlier = warm_sweep(ledger_url)
    ours = searched(ledger_url, text)
    assert ours[1].same_as == "search/2 of tiny"
    assert ours[1].result is not None
    assert earlier[2].result is not None
    assert ours[1].result.metrics == earlier[2].result.metrics
    assert ours[1].result.reason == "the same point as search/2 of tiny, whose result it has"
    # Six are enqueued; the seventh is the sampler's, who knows of seven trials more.
    cold = searched(new_ledger_url(), text.replace("warm_start: [tiny]", "replicates: 1"))
    assert [t.settings for t in ours[:6]] == [t.settings for t in cold[:6]]
    assert ours[6].settings != cold[6].settings


def test_what_a_search_started_from_stays_whatever_becomes_of_the_other_sweep(
    new_ledger_url: Callable[[], str],
) -> None:
    whole, ledger_url = new_ledger_url(), new_ledger_url()
    for url in (whole, ledger_url):
        text, _ = warm_sweep(url)
    with driver(ledger_url, text) as life:
        train(life, cohorts=1)
        life.next_cohort()
    with closing(Ledger(ledger_url)) as ledger:
        lease = take(ledger.engine, "tiny")
        with closing(Writer(ledger, lease)) as writer:
            writer.erase()
        assert len(ledger.earlier_trials("warm")) == 7
    resumed = searched(ledger_url, text)
    assert [(t.settings, t.same_as, t.state) for t in resumed] == [
        (t.settings, t.same_as, t.state) for t in searched(whole, text)
    ]
