import io
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from service import progress
from service.cohort import Cohort
from service.early_stopping import EarlyStopping
from service.objective import objective_of
from service.planning import Resolved
from service.progress import ProgressView
from service.spec import Spec
from service.trials import Trial

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]


class Screen:
    """A console that keeps what is written to it."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, force_terminal=is_terminal, width=100, color_system=None
        )

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    @property
    def last_frame(self) -> str:
        """What stood on the terminal last, without what moves the cursor."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue())
        return text[text.rindex("tiny  ") :]


@pytest.fixture
def page() -> Screen:
    return Screen(is_terminal=False)


@pytest.fixture
def terminal() -> Screen:
    return Screen(is_terminal=True)


@pytest.fixture
def searched(make_trial: MakeTrial) -> Trial:
    return make_trial(
        "search",
        0,
        loss_ratio=0.9,
        loss=1.8,
        monosemantic_per_feature=0.25,
        feature_coverage=0.125,
    )


@pytest.fixture
def baseline(make_trial: MakeTrial) -> list[Trial]:
    return [
        make_trial(
            "baseline",
            number,
            seeds=(number,),
            cohort_id="baseline-0",
            loss=2.0,
            monosemantic_per_feature=0.1,
            feature_coverage=0.05,
        )
        for number in range(2)
    ]


RESOLVED = Resolved(
    cohort_size=2,
    max_concurrent=3,
    sampler="tpe",
    precision="float32",
    device="cpu",
    cpus=1,
    gpus=0.0,
    step_s={"1": 0.0015, "2": 0.00075},
)


def cohort(cohort_id: str, *trials: Trial) -> Cohort:
    return Cohort(
        sweep="tiny",
        cohort_id=cohort_id,
        attempt=1,
        trials=trials,
        task={},
        training={},
        num_threads=1,
        checkpoint_s=30.0,
        storage="x",
    )


def running(trial: Trial) -> Trial:
    return replace(trial, state="running", result=None)


def test_elsewhere_than_on_a_terminal_each_event_is_a_line(
    page: Screen, make_spec: MakeSpec, baseline: list[Trial], searched: Trial, make_trial: MakeTrial
) -> None:
    failed = make_trial("search", 1, state="failed", reason="diverged: loss 9")
    stopped = make_trial("search", 2, state="pruned", reason="stopped at step 64: rank 2 of 2 (x)")
    with ProgressView(make_spec(), 4, page.console) as view:
        view.workers_starting()
        view.planned(RESOLVED)
        view.phase_entered("baseline", 2, [])
        view.cohort_started(cohort("baseline-0", *map(running, baseline)))
        view.cohort_progressed("baseline-0", 128)
        for trial in baseline:
            view.trial_ended(trial)
        view.phase_entered("search", 4, [])
        view.trial_ended(searched)
        view.cohort_died("search-1", "MemoryError: [no/markup] 9")
        view.trial_ended(failed)
        view.trial_ended(stopped)
        view.phase_entered("confirmation", 0, [])
    assert page.lines == [
        "tiny: starting workers",
        "cohort size 2, 3 at a time, float32 products, sampler tpe; a trial's step was measured "
        "to take 1.5 ms in one of 1, 0.75 ms in one of 2",
        "baseline: 0 of 2 trials done",
        "baseline 1/2: baseline/0 loss 2.0000, monosemantic per feature 0.100, coverage 0.050",
        "baseline 2/2: baseline/1 loss 2.0000, monosemantic per feature 0.100, coverage 0.050",
        "search: 0 of 4 trials done",
        "search 1/4: search/0 loss 1.8000 (0.900 of the baseline's), monosemantic per feature "
        "0.250, coverage 0.125",
        "search-1 ended without results, trying again: MemoryError: [no/markup] 9",
        "search 2/4: search/1 failed: diverged: loss 9",
        "search 3/4: search/2 pruned: stopped at step 64: rank 2 of 2 (x)",
    ]


def test_a_log_whose_disk_is_full_stops_nothing(make_spec: MakeSpec) -> None:
    with Path("/dev/full").open("w") as full:
        view = ProgressView(make_spec(), 4, Console(file=full))
        view.workers_starting()
        view.cohort_warned("search-0", "out of luck")
        with suppress(OSError):
            full.close()


def test_a_sweep_that_goes_on_counts_what_is_there(
    page: Screen, make_spec: MakeSpec, baseline: list[Trial], searched: Trial, make_trial: MakeTrial
) -> None:
    waiting = make_trial("search", 1, state="waiting")
    with ProgressView(make_spec(), 4, page.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 4, [searched, waiting])
        view.trial_ended(replace(searched, number=1))
    assert page.lines[:2] == ["baseline: 2 of 2 trials done", "search: 1 of 4 trials done"]
    assert page.lines[2].startswith("search 2/4: search/1 loss")


def test_nothing_is_known_before_the_baseline(terminal: Screen, make_spec: MakeSpec) -> None:
    with ProgressView(make_spec(), 4, terminal.console):
        pass
    assert "workers start; no baseline yet" in terminal.last_frame
    assert "time left: measuring" in terminal.last_frame
    # Baseline and finalist, and one of the baseline's width, on two seeds.
    for counts in ("0/2 trials", "0/4 trials", "0/6 trials"):
        assert counts in terminal.last_frame


def test_without_a_feasible_trial_the_ceiling_is_shown(
    terminal: Screen, make_spec: MakeSpec, baseline: list[Trial], searched: Trial
) -> None:
    assert searched.result is not None
    above = replace(searched, result=replace(searched.result, loss_ratio=1.6))
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 4, [])
        view.cohort_started(cohort("search-0", running(searched)))
        view.cohort_progressed("search-0", 64)
        view.trial_ended(above)
    # Half of the baseline's 2 on top of it.
    expected = "no feasible trial yet; ceiling 3.0000 (baseline loss 2.0000)"
    assert expected in terminal.last_frame
    assert "1/4 trials" in terminal.last_frame


def test_in_the_search_the_best_is_shown_under_the_ceiling(
    terminal: Screen, make_spec: MakeSpec, baseline: list[Trial], searched: Trial
) -> None:
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 4, [])
        view.trial_ended(searched)
        view.cohort_started(cohort("search-1", running(replace(searched, number=1))))
        view.cohort_progressed("search-1", 200)
    expected = (
        "best so far search/0: monosemantic_per_feature 0.250, loss 1.8000, 0.900 of the "
        "baseline's on its seeds; ceiling 3.0000 (baseline loss 2.0000)"
    )
    assert expected in " ".join(terminal.last_frame.split())


def test_the_best_is_kept_as_trials_end(
    terminal: Screen, make_spec: MakeSpec, baseline: list[Trial], searched: Trial
) -> None:
    """Better, worse, better but beyond the ceiling, and as good but later; the first was there."""

    def ended(number: int, monosemantic: float, loss_ratio: float) -> Trial:
        assert searched.result is not None
        metrics = {**searched.result.metrics, "monosemantic_per_feature": monosemantic}
        result = replace(searched.result, metrics=metrics, loss_ratio=loss_ratio)
        return replace(searched, number=number, result=result)

    with ProgressView(make_spec(), 5, terminal.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 5, [ended(0, 0.25, 0.9)])
        for number, values in enumerate([(0.5, 0.9), (0.4, 0.8), (0.9, 1.6), (0.5, 0.9)], 1):
            view.trial_ended(ended(number, *values))
    shown = " ".join(terminal.last_frame.split())
    assert "best so far search/1: monosemantic_per_feature 0.500" in shown


def test_in_confirmation_the_search_is_whole_and_the_best_stays(
    terminal: Screen,
    make_spec: MakeSpec,
    baseline: list[Trial],
    searched: Trial,
    make_trial: MakeTrial,
) -> None:
    with ProgressView(make_spec(), 1, terminal.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 1, [searched])
        view.phase_entered("confirmation", 4, [])
        trial = make_trial("confirmation", 0, role="baseline", cohort_id="confirmation-0")
        view.cohort_started(cohort("confirmation-0", running(trial)))
        view.cohort_progressed("confirmation-0", 64)
        view.trial_ended(
            make_trial(
                "confirmation",
                0,
                role="baseline",
                cohort_id="confirmation-0",
                loss=1.0,
                monosemantic_per_feature=0.9,
                feature_coverage=0.5,
            )
        )
    for counts in ("2/2 trials", "1/1 trials", "1/4 trials"):
        assert counts in terminal.last_frame
    assert "best so far search/0" in terminal.last_frame


def test_a_terminal_gets_no_line_for_each_event_but_is_told_of_deaths(
    terminal: Screen, make_spec: MakeSpec, baseline: list[Trial]
) -> None:
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, [])
        view.trial_ended(baseline[0])
        view.cohort_died("baseline-1", "MemoryError")
    text = terminal.file.getvalue()
    assert "baseline 1/2" not in text
    assert "baseline-1 ended without results, trying again: MemoryError" in text


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so many seconds have gone by since now, as the view sees it."""
    now = time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: now + seconds)
    monkeypatch.setattr(progress, "time", clock)


def test_half_of_the_work_done_means_as_long_again(
    terminal: Screen,
    make_spec: MakeSpec,
    baseline: list[Trial],
    searched: Trial,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of baseline and four of search done, six of confirmation to go, all of one size."""
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, [])
        for trial in baseline:
            view.trial_ended(trial)
        view.phase_entered("search", 4, [])
        for number in range(4):
            view.trial_ended(replace(searched, number=number, cohort_id=f"search-{number}"))
        later(monkeypatch, 100.0)
    assert "about 1 min 40 s left, 1 min 40 s so far" in terminal.last_frame


def test_steps_of_running_cohorts_count_as_done(
    terminal: Screen,
    make_spec: MakeSpec,
    baseline: list[Trial],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve trainings in all; the two of the baseline are half way: one done, eleven to go."""
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, [])
        view.cohort_started(cohort("baseline-0", *map(running, baseline)))
        view.cohort_progressed("baseline-0", 128)
        later(monkeypatch, 10.0)
    found = re.search(r"about (\d+) min (\d+) s left, 10 s so far", terminal.last_frame)
    assert found is not None
    assert int(found[1]) * 60 + int(found[2]) == pytest.approx(110, abs=2)


def test_early_stopping_shortens_what_is_left(
    terminal: Screen,
    make_spec: MakeSpec,
    baseline: list[Trial],
    searched: Trial,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In two cohorts of two one trial is stopped half way: a search of 3 trainings, not 4.

    Of 2 + 3 + 6 the baseline is done, and of the first cohort 1.25 when it is at three quarters.
    """
    compute = "compute: {cohort_size: 2, max_concurrent: 1}"
    spec = make_spec((compute, f"early_stopping: {{first_step: 128}}\n{compute}"))
    stopping = EarlyStopping(reduction=2, objective=objective_of(spec), baseline={128: {0: 1.0}})
    pair = [running(replace(searched, number=number)) for number in range(2)]
    with ProgressView(spec, 4, terminal.console) as view:
        view.planned(RESOLVED)
        view.phase_entered("baseline", 2, [])
        for trial in baseline:
            view.trial_ended(trial)
        view.phase_entered("search", 4, [])
        view.cohort_started(replace(cohort("search-0", *pair), early_stopping=stopping))
        view.cohort_progressed("search-0", 192)
        later(monkeypatch, 100.0)
    found = re.search(r"about (\d+) min (\d+) s left, 1 min 40 s so far", terminal.last_frame)
    assert found is not None
    expected = 100 * (3 + 6 - 1.25) / (2 + 1.25)
    assert int(found[1]) * 60 + int(found[2]) == pytest.approx(expected, abs=2)


def test_what_was_done_before_this_driver_is_not_measured(
    terminal: Screen,
    make_spec: MakeSpec,
    baseline: list[Trial],
    searched: Trial,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ProgressView(make_spec(), 4, terminal.console) as view:
        view.phase_entered("baseline", 2, baseline)
        view.phase_entered("search", 4, [searched])
        later(monkeypatch, 100.0)
    assert "time left: measuring" in terminal.last_frame
