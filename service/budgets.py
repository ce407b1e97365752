"""What a search may cost beside its number of trials, and when it has cost that.

Looked at whenever a cohort could be asked for. Steps and patience are counted from the results, so
that a search which was interrupted ends where it would have ended (one cohort at a time: with
several, which of them ends first is chance). Hours are measured.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from service.closed import Closed, limits_of
from service.cohort import Cohort
from service.front import as_gains
from service.ledger import Ledger, in_order_of_end, seconds_at_work
from service.objective import objective_of
from service.recorded import closed_of
from service.spec import Spec
from service.trials import Trial
from service.watching import Watcher

HOUR_S = 3600.0


class Budgets(Watcher):
    """What a search has spent, and whether it may ask for more.

    Patience is a plain count of trials. What a regret bound needs (``optuna.terminator``) is a
    model of the objective without constraints; and Optuna gives it up.

    Args:
        spec: The sweep file.
        lifted: Budgets that count no more, since the search was extended past them.
        ended: The search's trials that have ended, in that order.
        worked_s: Seconds in which earlier drivers had cohorts of the search at work.
        closed: Why the search has ended, where it has.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        lifted: Iterable[str] = (),
        ended: Iterable[Trial] = (),
        worked_s: float = 0.0,
        closed: Closed | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {
            name: limit for name, limit in limits_of(spec).items() if name not in set(lifted)
        }
        self._objective = objective_of(spec)
        self._trial_steps = spec.training.num_steps * spec.search.replicates
        self._closed = closed
        self._clock = clock
        self._num_steps = 0
        self._best: list[tuple[float, ...]] = []
        self._num_since_best = 0
        self._worked_s = worked_s
        self._since: float | None = None
        self._at_work: set[str] = set()
        self._just_ended: list[Trial] = []
        for trial in ended:
            self._count(trial)

    @property
    def closed(self) -> Closed | None:
        """Why the search has ended, where it has."""
        return self._closed

    def close(self, num_asked: int, num_trials: int) -> Closed | None:
        """Whether the search is to end now, and why; once said, it stays so.

        Args:
            num_asked: Trials that were asked for so far.
            num_trials: How many there may be.
        """
        spent = self._spent()
        exhausted = [name for name, limit in self._limits.items() if spent[name] >= limit]
        if self._closed is None and exhausted and num_asked < num_trials:
            self._closed = Closed(
                budget=exhausted[0],
                limit=self._limits[exhausted[0]],
                num_asked=num_asked,
                num_trials=num_trials,
            )
        return self._closed

    def leave_room(self, num_unfinished: int) -> bool:
        """Whether one cohort more begins within the steps if those at work take all of theirs.

        So the steps are overshot by less than what one cohort takes. Where trials are stopped early
        there may be room again once those at work have ended.
        """
        limit = self._limits.get("max_training_steps")
        promised = self._num_steps + num_unfinished * self._trial_steps
        return limit is None or promised < limit

    def _spent(self) -> dict[str, float]:
        since = 0.0 if self._since is None else self._clock() - self._since
        return {
            "max_training_steps": self._num_steps,
            "max_hours": (self._worked_s + since) / HOUR_S,
            "patience": self._num_since_best,
        }

    # What the life tells its watchers.

    def cohort_started(self, cohort: Cohort) -> None:
        """A cohort was handed to a worker."""
        if cohort.phase == "search":
            if not self._at_work:
                self._since = self._clock()
            self._at_work.add(cohort.cohort_id)

    def cohort_died(self, cohort_id: str, reason: str) -> None:
        """A cohort ended without results."""
        self._is_at_work_no_more(cohort_id)

    def cohort_split(self, cohort_id: str, halves: Sequence[str]) -> None:
        """A cohort goes on as two, later."""
        self._is_at_work_no_more(cohort_id)

    def trial_ended(self, trial: Trial) -> None:
        """A trial's result is in the ledger."""
        if trial.phase == "search":
            self._just_ended.append(trial)

    def cohort_ended(self, cohort: Cohort) -> None:
        """The results of all its trials are in the ledger."""
        # They ended at one moment: by number, as the ledger has them.
        for trial in sorted(self._just_ended, key=lambda trial: trial.number):
            self._count(trial)
        self._just_ended.clear()
        self._is_at_work_no_more(cohort.cohort_id)

    def _is_at_work_no_more(self, cohort_id: str) -> None:
        self._at_work.discard(cohort_id)
        if self._since is not None and not self._at_work:
            self._worked_s += self._clock() - self._since
            self._since = None

    def _count(self, trial: Trial) -> None:
        result = trial.result
        assert result is not None
        # One that has the result of another was not trained.
        if trial.same_as is None:
            self._num_steps += result.num_steps * len(trial.seeds)
        values = self._objective.values(result, trial.settings)
        if values is not None and self._objective.is_feasible(result, trial.settings):
            gains = as_gains(self._objective.goals, values)
            # Of several objectives: whether the front moves.
            if not any(all(map(float.__ge__, best, gains)) for best in self._best):
                self._best = [
                    best for best in self._best if not all(map(float.__ge__, gains, best))
                ]
                self._best.append(gains)
                self._num_since_best = 0
                return
        self._num_since_best += 1


def so_far(spec: Spec, ledger: Ledger, trials: Sequence[Trial]) -> Budgets:
    """The budgets of a search as earlier drivers left them.

    Args:
        spec: The sweep file.
        ledger: Where it is recorded what they spent.
        trials: The search's trials, by number.
    """
    record = ledger.sweep(spec.name)
    order = in_order_of_end(ledger.engine, record.name, "search")
    return Budgets(
        spec,
        lifted=record.lifted,
        ended=[trials[number] for number in order],
        worked_s=seconds_at_work(ledger.engine, record.name, "search"),
        closed=closed_of(record),
    )
