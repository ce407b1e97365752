"""A search ends when a budget is exhausted, at the same trial whatever interrupted it."""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from service import sweep
from service.budgets import Budgets
from service.cohort import Cohort
from service.errors import LedgerAwayError
from service.home import Home
from service.ledger import Ledger, Writer, release, tables, take
from service.life import Life
from service.machine import versions
from service.planning import resolve
from service.room import Machine, Room
from service.spec import Spec, parse_spec
from service.trials import Result, Trial

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]

NUM_STEPS = 256


@dataclass(frozen=True)
class End:
    """What comes of a search trial: its value if it is complete, else its steps."""

    state: str = "complete"
    value: float = 0.0
    loss: float = 1.0
    num_steps: int = NUM_STEPS

    @property
    def counts(self) -> bool:
        """Whether it is feasible: the margin is half of the baseline's loss, which is 1."""
        return self.state == "complete" and self.loss <= 1.5


def text_of(tiny_text: str, search: str, cohort_size: int = 2) -> str:
    text = tiny_text.replace("{num_trials: 4}", f"{{sampler: random, {search}}}")
    return text.replace("cohort_size: 2", f"cohort_size: {cohort_size}")


@contextmanager
def driver(ledger_url: str, text: str) -> Iterator[Life]:
    """A driver that holds the lease; the sweep is made if it is not there."""
    spec = parse_spec(text, origin="test")
    with closing(Ledger(ledger_url)) as ledger:
        if spec.name not in ledger.names():
            ledger.create_sweep(
                spec.name,
                spec_text=text,
                settings=spec.settings(),
                versions={},
                num_trials=spec.search.num_trials,
            )
        lease = take(ledger.engine, spec.name)
        try:
            with closing(Writer(ledger, lease)) as writer:
                yield Life(
                    spec,
                    num_trials=ledger.sweep(spec.name).num_trials,
                    trials=ledger.trials(spec.name),
                    ledger=ledger,
                    writer=writer,
                    resolved=resolve(spec, Room((Machine(1, 2**36),))),
                    storage="unused",
                )
        finally:
            release(ledger.engine, lease)


def results(cohort: Cohort, ends: Sequence[End]) -> list[Result]:
    return [
        result(trial, ends[trial.number] if trial.phase == "search" else End())
        for trial in cohort.trials
    ]


def result(trial: Trial, end: End) -> Result:
    metrics = {
        "loss": end.loss,
        "monosemantic_per_feature": end.value,
        "monosemantic_per_neuron": 0.5,
        "feature_coverage": 0.5,
    }
    is_complete = end.state == "complete"
    return Result(
        trial_id=trial.trial_id,
        attempt=trial.attempts,
        state=end.state,  # type: ignore[arg-type]
        reason=None if is_complete else "so it is",
        metrics=metrics if is_complete else {},
        replicates=tuple(metrics for _ in trial.seeds) if is_complete else (),
        num_steps=end.num_steps,
        train_s=1.0,
    )


def train(life: Life, ends: Sequence[End], *, until: str | None = None) -> None:
    """Train cohorts one at a time to the end, or until there is one of this phase."""
    while (cohort := life.next_cohort()) is not None and cohort.phase != until:
        life.ended(cohort.cohort_id, results(cohort, ends))


def outcome(ledger_url: str) -> tuple[int, Any, int]:
    """Number of trials the search has, why it was closed, and what the ledger says it has."""
    with closing(Ledger(ledger_url)) as ledger:
        record = ledger.sweep("tiny")
        return len(ledger.trials("tiny", "search")), record.closed, record.num_trials


@contextmanager
def killed_at(life: Life, commit: int, *, heard: bool) -> Iterator[None]:
    """The driver dies at this commit of its, after it is done or before."""
    count = itertools.count()
    engines = (life._writer.ledger.engine, life._writer._storage.engine)
    commits = [engine.dialect.do_commit for engine in engines]

    def dying(do_commit: Callable[[Any], None]) -> Callable[[Any], None]:
        def do(connection: Any) -> None:
            dies = next(count) == commit
            if not dies or heard:
                do_commit(connection)
            if dies:
                raise KeyboardInterrupt

        return do

    for engine, do_commit in zip(engines, commits, strict=True):
        engine.dialect.do_commit = dying(do_commit)  # type: ignore[method-assign]
    try:
        # SQLAlchemy takes it for a lost connection, which is as deadly here.
        with suppress(LedgerAwayError):
            yield
    finally:
        for engine, do_commit in zip(engines, commits, strict=True):
            engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


def expected(
    ends: Sequence[End], size: int, max_steps: int | None, patience: int | None
) -> tuple[int, str | None]:
    """By the rule itself: cohort after cohort, until what has ended exhausts a budget."""
    asked = 0
    while asked < len(ends):
        ended = ends[:asked]
        if max_steps is not None and sum(end.num_steps for end in ended) >= max_steps:
            return asked, "max_training_steps"
        values = [end.value if end.counts else -1.0 for end in ended]
        best = values.index(max(values)) if any(value >= 0 for value in values) else -1
        if patience is not None and len(ended) - 1 - best >= patience:
            return asked, "patience"
        asked = min(asked + size, len(ends))
    return asked, None


ENDS = st.one_of(
    st.builds(End, value=st.integers(0, 3).map(float), loss=st.sampled_from([1.0, 1.0, 2.0])),
    st.builds(End, state=st.just("pruned"), num_steps=st.just(64)),
    st.builds(End, state=st.just("failed"), num_steps=st.sampled_from([0, 32])),
)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ends=st.lists(ENDS, min_size=6, max_size=10),
    size=st.integers(1, 4),
    max_steps=st.none() | st.integers(NUM_STEPS, 6 * NUM_STEPS),
    patience=st.none() | st.integers(1, 6),
    kills=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=4),
)
def test_interrupted_anywhere_the_search_ends_at_the_same_trial(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_text: str,
    *,
    ends: list[End],
    size: int,
    max_steps: int | None,
    patience: int | None,
    kills: list[tuple[int, bool]],
) -> None:
    """Each driver dies at one of its commits; the last one lives."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    budgets = f"max_training_steps: {max_steps or 'null'}, patience: {patience or 'null'}"
    text = text_of(tiny_text, f"num_trials: {len(ends)}, {budgets}", size)
    for commit, heard in kills:
        with driver(url, text) as life, killed_at(life, commit, heard=heard):
            train(life, ends, until="confirmation")
    with driver(url, text) as life:
        train(life, ends, until="confirmation")
    asked, budget = expected(ends, size, max_steps, patience)
    limits = {"max_training_steps": max_steps, "patience": patience}
    closed = budget and {
        "budget": budget,
        "limit": limits[budget],
        "num_asked": asked,
        "num_trials": len(ends),
    }
    assert outcome(url) == (asked, closed, asked)


ALIKE = [End(value=1.0)] * 20


def test_a_search_out_of_patience_goes_on_to_confirmation_and_says_so(
    home: Home, tiny_text: str
) -> None:
    text = text_of(tiny_text, "num_trials: 20, patience: 5")
    with driver(home.ledger_url, text) as life:
        train(life, ALIKE)
        assert life.is_done
        verdict = life.verdict()
        phases = {trial.phase for trial in life.trials}
    # The first was the best; five more, and one with which the last of these was trained.
    said = "The search ended after 6 of 20 trials: 5 in a row brought nothing better that is"
    assert verdict["search_ended"] == f"{said} feasible."
    assert verdict["sentence"].endswith(verdict["search_ended"])
    assert phases == {"baseline", "search", "confirmation"}
    assert outcome(home.ledger_url)[0] == 6


def test_a_search_that_has_all_its_trials_did_not_end_early(home: Home, tiny_text: str) -> None:
    """Though a budget is exhausted with its last trial."""
    with driver(home.ledger_url, text_of(tiny_text, "num_trials: 6, patience: 5")) as life:
        train(life, ALIKE)
        assert life.verdict()["search_ended"] is None
    assert outcome(home.ledger_url) == (6, None, 6)


def test_steps_count_every_network_and_are_overshot_by_less_than_a_cohort(
    home: Home, tiny_text: str
) -> None:
    """Two seeds a trial: cohorts of 3 * 2 * 256 = 1536 steps."""
    search = "num_trials: 20, replicates: 2, max_training_steps: 3073"
    with driver(home.ledger_url, text_of(tiny_text, search, 3)) as life:
        train(life, ALIKE, until="confirmation")
    asked, closed, _ = outcome(home.ledger_url)
    assert asked == 9
    assert closed["budget"] == "max_training_steps"


def test_a_cohort_that_was_asked_for_in_part_is_asked_for_to_its_end(
    home: Home, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first trial is no reason to have no room for its second: 512 steps of 700 are done."""
    text = text_of(tiny_text, "num_trials: 8, max_training_steps: 700")
    with driver(home.ledger_url, text) as life:
        add = life._writer.add_trials

        def dies(phase: Any, first: int, points: list[Any], *rest: Any) -> None:
            if (phase, first) == ("search", 2):
                add(phase, first, points[:1], *rest)
                raise KeyboardInterrupt
            add(phase, first, points, *rest)

        monkeypatch.setattr(life._writer, "add_trials", dies)
        with pytest.raises(KeyboardInterrupt):
            train(life, ALIKE)
    assert outcome(home.ledger_url)[0] == 3
    with driver(home.ledger_url, text) as life:
        cohort = life.next_cohort()
        assert cohort is not None
        assert [trial.number for trial in cohort.trials] == [2, 3]


def test_steps_promised_to_cohorts_at_work_are_waited_for(home: Home, tiny_text: str) -> None:
    """Two cohorts of 512 steps at a time; 1000 are allowed. One of them takes hardly any."""
    text = text_of(tiny_text, "num_trials: 20, max_training_steps: 1000")
    short = [End(state="pruned", num_steps=1)] * 20
    with driver(home.ledger_url, text) as life:
        train(life, ALIKE, until="search")
        first = next(iter(life._running.values()))
        second = life.next_cohort()
        assert second is not None
        assert life.next_cohort() is None
        life.ended(first.cohort_id, results(first, short))
        third = life.next_cohort()
        assert third is not None
        assert life.next_cohort() is None
        life.ended(second.cohort_id, results(second, ALIKE))
        # 2 + 512 are done, and 512 promised.
        assert life.next_cohort() is None
        life.ended(third.cohort_id, results(third, ALIKE))
        assert life.next_cohort().phase == "confirmation"  # type: ignore[union-attr]
    assert outcome(home.ledger_url)[0] == 6


def test_hours_of_earlier_drivers_count_and_the_time_between_them_does_not(
    home: Home, tiny_text: str
) -> None:
    text = text_of(tiny_text, "num_trials: 20, max_hours: 2")

    def an_hour_later(*cohorts: str) -> None:
        """Each of them was at work for an hour, a day ago."""
        ago = tables.attempts.c.ended_at - 86400.0
        with closing(Ledger(home.ledger_url)) as ledger, ledger.engine.begin() as connection:
            connection.execute(
                update(tables.attempts)
                .where(tables.attempts.c.cohort_id.in_(cohorts))
                .values(started_at=ago - 3599.0, ended_at=ago)
            )

    with driver(home.ledger_url, text) as life:
        train(life, ALIKE, until="search")
        [cohort] = life._running.values()
        life.ended(cohort.cohort_id, results(cohort, ALIKE))
    an_hour_later("search-0", "baseline-0")
    with driver(home.ledger_url, text) as life:
        cohort = life.next_cohort()  # type: ignore[assignment]
        assert cohort.cohort_id == "search-1"
    an_hour_later("search-1")
    with closing(Ledger(home.ledger_url)) as ledger, ledger.engine.begin() as connection:
        # Not at the same time as the first.
        connection.execute(
            update(tables.attempts)
            .where(tables.attempts.c.cohort_id == "search-1")
            .values(
                started_at=tables.attempts.c.started_at + 7200.0,
                ended_at=tables.attempts.c.ended_at + 7203.0,
            )
        )
    with driver(home.ledger_url, text) as life:
        # What was at work when the time was over is trained to its end.
        cohort = life.next_cohort()  # type: ignore[assignment]
        assert cohort.cohort_id == "search-1"
        life.ended(cohort.cohort_id, results(cohort, ALIKE))
        assert life.next_cohort().phase == "confirmation"  # type: ignore[union-attr]
    asked, closed, _ = outcome(home.ledger_url)
    assert (asked, closed["budget"], closed["limit"]) == (4, "max_hours", 2.0)


@pytest.mark.parametrize("is_done", [True, False])
def test_a_ledger_that_is_away_when_the_search_is_closed_is_asked_again(
    home: Home, tiny_text: str, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """And the search is closed for what it was, though it has found something better meanwhile."""
    text = text_of(tiny_text, "num_trials: 20, patience: 2", 1)
    ends = [End(value=1.0), End(), End(), End(value=2.0)]
    with driver(home.ledger_url, text) as life:
        train(life, ends, until="search")
        [first] = life._running.values()
        at_work = [first, *(life.next_cohort() for _ in range(3))]
        for cohort in at_work[:3]:
            life.ended(cohort.cohort_id, results(cohort, ends))
        close = life._writer.close_search

        def away(*args: Any) -> None:
            if is_done:
                close(*args)
            raise LedgerAwayError("away")

        monkeypatch.setattr(life._writer, "close_search", away)
        with pytest.raises(LedgerAwayError):
            life.next_cohort()
        monkeypatch.undo()
        life.ended(at_work[3].cohort_id, results(at_work[3], ends))
        assert life.next_cohort().phase == "confirmation"  # type: ignore[union-attr]
    asked, closed, num_trials = outcome(home.ledger_url)
    assert (asked, closed["num_asked"], num_trials) == (4, 4, 4)


def test_extended_past_a_budget_the_search_goes_on_without_it_and_minds_the_others(
    home: Home, tiny_text: str
) -> None:
    text = text_of(tiny_text, "num_trials: 10, patience: 2, max_training_steps: 2000")
    with driver(home.ledger_url, text) as life:
        train(life, ALIKE)
        life._writer.finish(life.verdict())
        assert outcome(home.ledger_url)[0] == 4
        life._writer.extend(12)
    with driver(home.ledger_url, text) as life:
        train(life, ALIKE)
        assert "2000 training steps were done" in life.verdict()["search_ended"]
    # Eight trials of 256 steps are 2048.
    assert outcome(home.ledger_url)[0] == 8
    with closing(Ledger(home.ledger_url)) as ledger:
        assert ledger.sweep("tiny").lifted == ("patience",)


@pytest.mark.parametrize("is_closed", [True, False])
def test_resume_says_which_budget_it_lifts(
    home: Home,
    tiny_text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_closed: bool,
) -> None:
    text = text_of(tiny_text, "num_trials: 10, patience: 5")
    with driver(home.ledger_url, text) as life:
        life._writer.record_versions({**versions(), "storage": home.storage_place})
        if is_closed:
            train(life, ALIKE)
    monkeypatch.setattr(sweep, "train", lambda *_: {})
    with caplog.at_level(logging.WARNING):
        sweep.resume("tiny", home, num_trials=12)
    said = (
        "search.patience: 5 had ended the search after 6 trials. It counts no more: the search "
        "goes on to 12."
    )
    assert [record.message for record in caplog.records] == ([said] if is_closed else [])


# The counting alone, by a clock of the test's own.


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def searched(make_trial: MakeTrial, number: int, value: float, ratio: float = 1.0) -> Trial:
    return make_trial("search", number, loss_ratio=ratio, loss=1.0, monosemantic_per_feature=value)


def cohort_of(*trials: Trial) -> Cohort:
    return Cohort(
        sweep="tiny",
        cohort_id=trials[0].cohort_id,
        attempt=1,
        trials=trials,
        task={},
        training={},
        num_threads=1,
        storage="unused",
        checkpoint_s=30.0,
    )


def end(budgets: Budgets, *trials: Trial) -> None:
    for trial in trials:
        budgets.trial_ended(trial)
    budgets.cohort_ended(cohort_of(*trials))


def with_search(make_spec: MakeSpec, search: str) -> Spec:
    return make_spec(("{num_trials: 4}", f"{{num_trials: 9, {search}}}"))


def test_patience_ends_with_so_many_in_a_row_and_what_is_better_begins_anew(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    budgets = Budgets(with_search(make_spec, "patience: 3"))
    for number, value in enumerate([0.5, 0.5, 0.4, 0.6, 0.6, 0.1]):
        end(budgets, searched(make_trial, number, value))
        assert budgets.close(number + 1, 9) is None
    end(budgets, searched(make_trial, 6, 0.6))
    closed = budgets.close(7, 9)
    assert closed is not None
    assert closed.as_json() == {
        "budget": "patience",
        "limit": 3,
        "num_asked": 7,
        "num_trials": 9,
    }


def test_what_is_better_but_not_feasible_does_not_count(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    budgets = Budgets(with_search(make_spec, "patience: 3"))
    end(budgets, searched(make_trial, 0, 0.5))
    end(budgets, searched(make_trial, 1, 0.9, ratio=1.6))
    end(budgets, make_trial("search", 2, state="pruned"))
    assert budgets.close(3, 9) is None
    end(budgets, make_trial("search", 3, state="failed"))
    assert budgets.close(4, 9) is not None


def test_of_several_objectives_whatever_moves_the_front_is_better(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    """Monosemanticity up, neurons down; a copy and a worse one move nothing."""
    spec = make_spec(
        ("{num_trials: 4}", "{num_trials: 9, patience: 2}"),
        ("monosemantic_per_feature,", "monosemantic_per_feature, minimize: num_neurons,"),
    )

    def tried(*pairs: tuple[float, int]) -> Budgets:
        trials = [
            replace(trial, settings={**trial.settings, "num_neurons": width})
            for number, (value, width) in enumerate(pairs)
            for trial in [searched(make_trial, number, value)]
        ]
        return Budgets(spec, ended=trials)

    wide = [(0.5, 96), (0.5, 96), (0.2, 32)]
    assert tried(*wide).close(3, 9) is None
    assert tried(*wide, (0.1, 32)).close(4, 9) is None
    assert tried(*wide, (0.1, 32), (0.4, 64)).close(5, 9) is None
    assert tried(*wide, (0.1, 32), (0.4, 128)).close(5, 9) is not None


def test_without_a_feasible_trial_patience_counts_from_the_first(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    trials = [make_trial("search", number, state="failed") for number in range(3)]
    spec = with_search(make_spec, "patience: 3")
    assert Budgets(spec, ended=trials[:2]).close(2, 9) is None
    assert Budgets(spec, ended=trials).close(3, 9) is not None


def test_of_one_cohort_the_trials_count_by_number_however_they_are_told(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    """As they will be read from the ledger."""
    trials = [searched(make_trial, number, value) for number, value in enumerate([0.5, 0.1, 0.1])]
    spec = with_search(make_spec, "patience: 2")
    told = Budgets(spec)
    end(told, trials[2], trials[0], trials[1])
    for budgets in (told, Budgets(spec, ended=trials)):
        assert budgets.close(3, 9) is not None


def test_hours_run_while_a_cohort_of_the_search_is_at_work(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    clock = Clock()
    budgets = Budgets(with_search(make_spec, "max_hours: 2"), worked_s=3600.0, clock=clock)
    first, second = (
        cohort_of(make_trial("search", n, state="running", cohort_id=f"search-{n}"))
        for n in range(2)
    )
    other = cohort_of(make_trial("confirmation", 0, state="running", cohort_id="confirmation-0"))

    def is_over_after(seconds: float) -> bool:
        clock.now += seconds
        return budgets.close(2, 9) is not None

    budgets.cohort_started(other)
    assert not is_over_after(10_000)
    budgets.cohort_started(first)
    assert not is_over_after(1000)
    budgets.cohort_started(second)
    assert not is_over_after(1000)
    budgets.cohort_ended(first)
    assert not is_over_after(1000)
    budgets.cohort_died(second.cohort_id, "gone")
    assert not is_over_after(10_000)
    budgets.cohort_started(second)
    assert not is_over_after(599)
    budgets.cohort_split(second.cohort_id, ["search-1a", "search-1b"])
    assert not is_over_after(10_000)
    budgets.cohort_started(replace(second, cohort_id="search-1a"))
    assert is_over_after(1)


def test_a_lifted_budget_counts_no_more(make_spec: MakeSpec, make_trial: MakeTrial) -> None:
    spec = with_search(make_spec, "patience: 2, max_training_steps: 1024")
    trials = [searched(make_trial, number, 0.5) for number in range(4)]
    assert Budgets(spec, lifted=["patience"], ended=trials[:3]).close(3, 9) is None
    closed = Budgets(spec, lifted=["patience"], ended=trials).close(4, 9)
    assert closed is not None
    assert closed.budget == "max_training_steps"
    assert Budgets(spec, lifted=["patience", "max_training_steps"], ended=trials).leave_room(9)


def test_a_trial_that_has_anothers_result_took_no_steps_and_brought_nothing(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    spec = with_search(make_spec, "patience: 2, max_training_steps: 512")
    first = searched(make_trial, 0, 0.5)
    copies = [replace(searched(make_trial, n, 0.5), same_as="search/0") for n in (1, 2)]
    closed = Budgets(spec, ended=[first, *copies]).close(3, 9)
    assert closed is not None
    assert closed.budget == "patience"
    assert Budgets(spec, ended=[first, copies[0]]).close(2, 9) is None


def test_without_budgets_nothing_ends_early(make_spec: MakeSpec, make_trial: MakeTrial) -> None:
    trials = [make_trial("search", number, state="failed") for number in range(4)]
    budgets = Budgets(make_spec(), ended=trials, worked_s=1e9)
    assert budgets.close(4, 9) is None
    assert budgets.leave_room(10**6)
