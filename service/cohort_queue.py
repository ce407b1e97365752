"""The cohorts that wait for a worker: new, left by an earlier driver, or to be tried again.

A cohort's id is ``<phase>-<number>``; what it is split into has a letter more.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from service.ledger import Attempt, Writer, unfinished
from service.phases import PhasePlan, SearchPhase
from service.trials import PHASES, Phase, Point, Result, Trial

# Attempts of a cohort that may end one after another without its getting any farther.
MAX_DEATHS = 3
# The same, where its machine was lost each time: hardly ever by its doing.
MAX_MACHINES = 10
# Before the attempt after the first, second, ... of them: the machine may be the one to blame.
PAUSES_S = (0.0, 5.0)

GUESSES = " Some common causes include"

TrialsByPhase = dict[Phase, list[Trial]]


@dataclass
class _Waiting:
    cohort_id: str
    not_before: float = 0.0


class CohortQueue:
    """Hands out cohorts of a phase one by one, and takes those back that died.

    Args:
        trials: Every trial by phase and number; new and moved ones are put here too.
        writer: The pen.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        trials: TrialsByPhase,
        writer: Writer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trials = trials
        self._writer = writer
        self._clock = clock
        self._waiting = [_Waiting(cohort_id) for cohort_id in self._left_behind()]

    def members(self, cohort_id: str) -> list[Trial]:
        """The trials of a cohort, by number."""
        trials = self._trials[phase_of(cohort_id)]
        return [trial for trial in trials if trial.cohort_id == cohort_id]

    def next(self, plan: PhasePlan, size: int) -> str | None:
        """A cohort of the phase to train now, or None; the same until it is ``taken``.

        Args:
            plan: The phase.
            size: Trials in a new cohort.
        """
        return self._next_waiting(plan.phase) or self._create(plan, size)

    def promised(self, phase: Phase) -> list[Trial]:
        """Trials of a phase that are still to be trained, at work or waiting.

        Without those of a cohort that was asked for in part, as a driver of an earlier version
        that died on the way left it: it was allowed when its first trial was.
        """
        trials = self._trials[phase]
        begun = {trial.number for trial in self._begun_but_not_started(trials)}
        return [
            trial
            for trial in unfinished(trials)
            if trial.same_as is None and trial.number not in begun
        ]

    def taken(self, cohort_id: str) -> None:
        """It is being trained."""
        self._waiting = [one for one in self._waiting if one.cohort_id != cohort_id]

    def take_back(self, cohort_id: str, attempts: Sequence[Attempt]) -> list[str]:
        """Queue a cohort that died, or the halves of one that dies again and again.

        Args:
            cohort_id: The cohort.
            attempts: All its attempts, the one that died last.

        Returns:
            What was queued; nothing if it is a lone trial that is to be given up.
        """
        deaths = deaths_in_a_row(attempts)
        if deaths.workers < MAX_DEATHS and deaths.machines < MAX_MACHINES:
            pause = PAUSES_S[min(deaths.workers + deaths.machines, len(PAUSES_S)) - 1]
            self._waiting.append(_Waiting(cohort_id, self._clock() + pause))
            return [cohort_id]
        members = self.members(cohort_id)
        if len(members) == 1:
            return []
        middle = len(members) // 2
        halves = self._move_apart(cohort_id, members[:middle], members[middle:])
        self._waiting += map(_Waiting, halves)
        return halves

    def _left_behind(self) -> list[str]:
        """Cohorts that an earlier driver left unfinished.

        One that was never started may lack members, if a driver of an earlier version, which
        asked for them one by one, died on the way: it is left to ``_create``, which asks for the
        rest first.
        """
        orphans = unfinished([trial for phase in PHASES for trial in self._trials[phase]])
        return list(
            dict.fromkeys(
                trial.cohort_id
                for trial in orphans
                if trial.attempts > 0 or _is_split_off(trial.cohort_id)
            )
        )

    def _next_waiting(self, phase: Phase) -> str | None:
        now = self._clock()
        for one in self._waiting:
            if phase_of(one.cohort_id) == phase and one.not_before <= now:
                return one.cohort_id
        return None

    def _create(self, plan: PhasePlan, size: int) -> str | None:
        """Make trials of the phase's next points, up to a cohort; its id, or None without any."""
        trials = self._trials[plan.phase]
        begun = self._begun_but_not_started(trials)
        cohort_id = begun[0].cohort_id if begun else f"{plan.phase}-{_num_cohorts(trials)}"
        distributions = plan.distributions if isinstance(plan, SearchPhase) else {}
        points = plan.missing(trials, max(size - len(begun), 0))
        first = len(trials)
        if points:
            self._writer.add_trials(plan.phase, first, points, cohort_id, distributions)
        trials += [
            _trial(plan.phase, number, point, cohort_id)
            for number, point in enumerate(points, start=first)
        ]
        return cohort_id if any(trial.cohort_id == cohort_id for trial in trials) else None

    def _begun_but_not_started(self, trials: Sequence[Trial]) -> list[Trial]:
        return [
            trial
            for trial in unfinished(trials)
            if trial.attempts == 0
            and trial.cohort_id == trials[-1].cohort_id
            and not _is_split_off(trial.cohort_id)
        ]

    def _move_apart(self, cohort_id: str, *parts: Sequence[Trial]) -> list[str]:
        """Move parts of a cohort to cohorts of their own; their ids.

        Trial by trial: a driver that dies on the way leaves cohorts that are as good.
        """
        phase = phase_of(cohort_id)
        taken = {trial.cohort_id for trial in self._trials[phase]}
        free = [name for letter in ascii_lowercase if (name := f"{cohort_id}{letter}") not in taken]
        own = dict(zip(free, parts, strict=False))
        for name, part in own.items():
            for trial in part:
                self._writer.move_trial(phase, trial.number, name)
        # Only now, so that the same can be asked again if the ledger was away in between.
        for name, part in own.items():
            for trial in part:
                self._trials[phase][trial.number] = replace(
                    trial, cohort_id=name, attempts=0, state="waiting"
                )
        return list(own)


@dataclass(frozen=True)
class Deaths:
    """Attempts that ended without results: how many alone, and how many with their machine."""

    workers: int = 0
    machines: int = 0


def deaths_in_a_row(attempts: Sequence[Attempt]) -> Deaths:
    """How many of the last attempts died without the cohort's getting any farther between them.

    A death counts from where the next attempt could go on: what was trained after the last
    checkpoint is lost, so that a cohort which always dies at the same step gets nowhere. Attempts
    that ended with their driver are nobody's death.

    Args:
        attempts: By number.
    """
    deaths, farthest = Deaths(), 0
    for attempt in attempts:
        if attempt.first_step is not None and attempt.first_step > farthest:
            deaths, farthest = Deaths(), attempt.first_step
        if attempt.lost_machine:
            deaths = replace(deaths, machines=deaths.machines + 1)
        elif attempt.died:
            deaths = replace(deaths, workers=deaths.workers + 1)
    return deaths


def phase_of(cohort_id: str) -> Phase:
    """``search`` of ``search-3``."""
    return next(phase for phase in PHASES if cohort_id.startswith(f"{phase}-"))


def _is_split_off(cohort_id: str) -> bool:
    return cohort_id[-1].isalpha()


def _num_cohorts(trials: Sequence[Trial]) -> int:
    """Cohorts that a phase has had, each counted once however often it was split."""
    return len({trial.cohort_id.rstrip(ascii_lowercase) for trial in trials})


def _trial(phase: Phase, number: int, point: Point, cohort_id: str) -> Trial:
    return Trial(
        phase=phase,
        number=number,
        settings=point.settings,
        varied=point.varied,
        seeds=point.seeds,
        cohort_id=cohort_id,
        role=point.role,
        same_as=point.same_as,
        memory=point.memory,
    )


def last_line(reason: str) -> str:
    """Of a traceback the line that says what happened, without what Ray guesses at its causes."""
    last = next((line for line in reversed(reason.splitlines()) if line.strip()), "no reason known")
    return last.partition(GUESSES)[0].strip()


def given_up(trial: Trial, attempt: int, attempts: Sequence[Attempt]) -> Result:
    """The result of a trial that ended its worker again and again, alone in its cohort."""
    deaths = deaths_in_a_row(attempts)
    ended = (
        f"machine ended {deaths.machines}"
        if deaths.workers < MAX_DEATHS
        else f"worker ended {deaths.workers}"
    )
    reason = last_line(attempts[-1].outcome or "")
    return Result(
        trial_id=trial.trial_id,
        attempt=attempt,
        state="failed",
        reason=f"its {ended} times on this trial alone: {reason}",
        num_steps=0,
        train_s=0.0,
    )
