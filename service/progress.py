"""The live view of a sweep at work: phase, trials done, best so far against the ceiling, time left.

On a terminal it is redrawn in place; elsewhere each event is a line. Both go to standard error.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service import stopping
from service.cohort import Cohort
from service.early_stopping import share_trained, steps_trained
from service.front import ranked
from service.objective import LOSS_RATIO, Objective, in_words, number, objective_of
from service.phases import BaselinePhase, num_confirmations
from service.planning import Resolved
from service.spec import Spec
from service.status import baseline_so_far, best_so_far
from service.trials import PHASES, TITLES, Phase, Trial
from service.watching import Watcher


@dataclass
class _PhaseProgress:
    num_trials: int
    num_ended: int = 0


@dataclass
class _CohortProgress:
    cohort: Cohort
    num_steps_done: int = 0


@dataclass
class _Work:
    """Training steps times neurons, done in this driver's life; for the time left."""

    done: float = 0.0
    started_at: float = field(default_factory=time.monotonic)


class ProgressView(Watcher):
    """Shows a sweep at work, as one of the life's watchers.

    Told things by the driver's thread, drawn by rich's.

    Args:
        spec: The sweep file.
        num_trials: The search's budget.
        console: Where to draw.
    """

    def __init__(self, spec: Spec, num_trials: int, console: Console) -> None:
        self._spec = spec
        self._objective = objective_of(spec)
        self._console = console
        self._phases: dict[Phase, _PhaseProgress] = {}
        self._expected: dict[Phase, int] = {
            "baseline": BaselinePhase(spec).num_trials,
            "search": num_trials,
            "confirmation": num_confirmations(spec),
        }
        self._baseline: list[Trial] = []
        # Of the search; kept as trials end, so that a view of many takes no longer to draw.
        self._best: Trial | None = None
        self._cohorts: dict[str, _CohortProgress] = {}
        self._work = _Work()
        self._cohort_size = 1
        self._notice = ""
        self._live = Live(
            console=console, get_renderable=self._rendered, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def acknowledge(self, notice: str) -> None:
        """The end was asked for: seen when it is redrawn; elsewhere said at once, by no lock."""
        self._notice = notice
        if not self._console.is_terminal:
            stopping.say(notice)

    # What the life tells its watchers.

    def workers_starting(self) -> None:
        """Nothing is seen to move for some seconds."""
        self._say(f"{self._spec.name}: starting workers")

    def planned(self, resolved: Resolved) -> None:
        """The ``auto`` choices are settled."""
        self._cohort_size = resolved.cohort_size
        measured = ", ".join(
            f"{seconds * 1e3:.3g} ms in one of {size}" for size, seconds in resolved.step_s.items()
        )
        self._print(
            f"cohort size {resolved.cohort_size}, {resolved.max_concurrent} at a time, "
            f"{resolved.precision} products, sampler {resolved.sampler}"
            + (f"; a trial's step was measured to take {measured}" if measured else "")
        )
        for sweep, count in resolved.warm_start.items():
            self._print(f"the search starts from {count} trials of {sweep}")

    def phase_entered(self, phase: Phase, num_trials: int, trials: Sequence[Trial]) -> None:
        """A phase begins, or goes on."""
        ended = [trial for trial in trials if trial.result is not None]
        self._phases[phase] = _PhaseProgress(num_trials, len(ended))
        self._learn(phase, ended)
        if num_trials:
            self._say(f"{TITLES[phase]}: {len(ended)} of {num_trials} trials done")

    def search_closed(self, num_trials: int, why: str) -> None:
        """The search asks for no more than these trials."""
        self._phases["search"].num_trials = num_trials
        self._print(why)

    def cohort_started(self, cohort: Cohort) -> None:
        """A cohort was handed to a worker."""
        self._cohorts = {**self._cohorts, cohort.cohort_id: _CohortProgress(cohort)}

    def cohort_went_on(self, cohort_id: str, first_step: int) -> None:
        """A cohort goes on from a checkpoint."""
        self._say(f"{cohort_id} goes on from its checkpoint at step {first_step}")

    def cohort_progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """A cohort is still at work."""
        if cohort_id in self._cohorts:
            self._cohorts[cohort_id].num_steps_done = num_steps_done

    def cohort_died(self, cohort_id: str, reason: str) -> None:
        """A cohort ended without results."""
        self._forget(cohort_id)
        self._warn(f"{cohort_id} ended without results, trying again: {reason}")

    def cohort_split(self, cohort_id: str, halves: Sequence[str]) -> None:
        """A cohort goes on as two."""
        self._forget(cohort_id)
        self._warn(
            f"{cohort_id} ended again and again, trying its trials apart: {', '.join(halves)}"
        )

    def cohort_warned(self, cohort_id: str, warning: str) -> None:
        """A cohort goes on, but with something that people should know."""
        self._warn(f"{cohort_id}: {warning}")

    def trial_ended(self, trial: Trial) -> None:
        """A trial's result is in the ledger."""
        assert trial.result is not None
        self._forget(trial.cohort_id)
        if trial.same_as is None:
            self._work.done += self._steps_times_neurons(trial)
        self._learn(trial.phase, [trial])
        progress = self._phases[trial.phase]
        progress.num_ended += 1
        said = _told(trial, self._objective)
        self._say(f"{TITLES[trial.phase]} {progress.num_ended}/{progress.num_trials}: {said}")

    def _learn(self, phase: Phase, ended: Sequence[Trial]) -> None:
        if phase == "baseline":
            self._baseline = [*self._baseline, *ended]
        elif phase == "search":
            so_far = [] if self._best is None else [self._best]
            self._best = next(iter(ranked([*so_far, *ended], self._objective)), None)

    def _forget(self, cohort_id: str) -> None:
        self._cohorts = {key: at for key, at in self._cohorts.items() if key != cohort_id}

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._print(line)

    def _warn(self, line: str) -> None:
        self._print(line, style="yellow")

    def _print(self, line: str, style: str | None = None) -> None:
        # A log whose disk is full is no reason to stop: what was said follows when there is room.
        with suppress(OSError):
            self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    # Drawing.

    def _rendered(self) -> Group:
        rows = Table.grid(padding=(0, 2))
        for phase in PHASES:
            rows.add_row(*self._phase_row(phase))
        return Group(
            Text.assemble((self._spec.name, "bold"), "  ", self._time_left()),
            rows,
            self._best_line(),
            *([Text(self._notice, style="yellow")] if self._notice else []),
        )

    def _phase_row(self, phase: Phase) -> tuple[str, ProgressBar, str]:
        progress = self._phases.get(phase)
        total = progress.num_trials if progress else self._expected[phase]
        ended = progress.num_ended if progress else 0
        partly = sum(
            len(at.cohort.trials) * at.num_steps_done / self._spec.training.num_steps
            for at in self._cohorts.values()
            if at.cohort.phase == phase
        )
        bar = ProgressBar(total=max(total, 1), completed=ended + partly, width=40)
        return TITLES[phase], bar, f"{ended}/{total} trials"

    def _best_line(self) -> Text:
        baseline = baseline_so_far(self._objective, self._baseline)
        if baseline is None:
            return Text("workers start; no baseline yet", style="dim")
        ceiling = f"baseline loss {baseline['loss']:.4f}"
        if baseline["ceiling"] is not None:
            ceiling = f"ceiling {baseline['ceiling']:.4f} ({ceiling})"
        best = None if self._best is None else best_so_far(self._objective, [self._best])
        if best is None:
            return Text(f"no feasible trial yet; {ceiling}")
        shown = (goal.name for goal in self._objective.goals if goal.name not in _LOSSES)
        goals = "".join(f"{name} {best[name]:.3f}, " for name in shown)
        return Text(
            f"best so far {best['trial']}: {goals}"
            f"loss {best['loss']:.4f}, {best['loss_ratio']:.3f} of the baseline's on its seeds; "
            f"{ceiling}"
        )

    def _time_left(self) -> Text:
        running = sum(map(self._work_done, self._cohorts.values()))
        done = self._work.done + running
        elapsed = time.monotonic() - self._work.started_at
        remaining = self._work_left() - running
        if done <= 0 or elapsed < 5:
            return Text("time left: measuring", style="dim")
        left = max(remaining, 0.0) * elapsed / done
        return Text(f"about {_minutes(left)} left, {_minutes(elapsed)} so far", style="dim")

    def _work_done(self, at: _CohortProgress) -> float:
        """Of a cohort at work; which of its trials were stopped is not known yet."""
        trials, steps = at.cohort.trials, float(at.num_steps_done)
        if at.cohort.early_stopping is not None:
            steps = steps_trained(self._spec, len(trials), at.num_steps_done) / len(trials)
        return steps * sum(_neurons(trial) * len(trial.seeds) for trial in trials)

    def _work_left(self) -> float:
        """Of every phase, at the model's width where the trials are not known yet."""
        spec = self._spec
        share = share_trained(spec, self._cohort_size)
        trainings = {"search": spec.search.replicates * share}
        left = 0.0
        for phase in PHASES:
            progress = self._phases.get(phase)
            count = progress.num_trials - progress.num_ended if progress else self._expected[phase]
            left += count * trainings.get(phase, 1)
        return left * spec.training.num_steps * spec.model.num_neurons

    def _steps_times_neurons(self, trial: Trial) -> float:
        assert trial.result is not None
        return float(trial.result.num_steps * _neurons(trial) * len(trial.seeds))


def _neurons(trial: Trial) -> int:
    return int(trial.settings["num_neurons"])


_LOSSES = ("loss", LOSS_RATIO)
_ALWAYS_TOLD = ("monosemantic_per_feature", "feature_coverage")


def _told(trial: Trial, objective: Objective) -> str:
    assert trial.result is not None
    result = trial.result
    if result.state != "complete":
        return f"{trial.trial_id} {result.state}: {result.reason}"
    ratio = "" if result.loss_ratio is None else f" ({result.loss_ratio:.3f} of the baseline's)"
    others = "".join(
        f", {in_words(name)} {value:.4g}"
        for name in objective.names
        if name not in (*_LOSSES, *_ALWAYS_TOLD)
        and (value := number(name, result, trial.settings)) is not None
    )
    return (
        f"{trial.trial_id} loss {result.metrics['loss']:.4f}{ratio}, monosemantic per feature "
        f"{result.metrics['monosemantic_per_feature']:.3f}, coverage "
        f"{result.metrics['feature_coverage']:.3f}{others}"
        + (f"; {result.reason}" if result.reason else "")
    )


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
