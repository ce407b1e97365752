"""The driver's agenda: cohorts phase by phase, results into the ledger, until the verdict.

Everything is derived from the trials in the ledger, so a driver that takes over knows as much as
the one that died.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from service import baseline_curves, budgets, known_results, warm_start
from service.cohort import Cohort
from service.cohort_queue import CohortQueue, given_up, last_line, phase_of
from service.confirmation import finalists_ever
from service.early_stopping import EarlyStopping
from service.findings import findings
from service.ledger import Ledger, Writer, unfinished
from service.objective import baseline_losses, loss_ratio, objective_of
from service.phases import BaselinePhase, ConfirmationPhase, PhasePlan, SearchPhase, search_phase
from service.planning import Resolved, training_settings
from service.spec import Spec
from service.storage import Storage
from service.telling import tell, tell_recorded
from service.trials import PHASES, Phase, Result, Settings, Trial
from service.verdict import Json, verdict, with_end
from service.watching import Watcher

logger = logging.getLogger(__name__)


class Life:
    """What is trained next, and what is done with what comes back.

    Called from the driver's thread only. A call that ends with an ``AwayError`` has told nobody
    anything, and can be made again.

    Args:
        spec: The sweep file.
        num_trials: The search's budget.
        trials: All that the ledger holds of it.
        ledger: To read what else it holds.
        writer: The pen.
        resolved: The settled ``auto`` choices.
        storage: Where workers write curves and neurons.
        watchers: Who wants to know.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        num_trials: int,
        trials: Sequence[Trial],
        ledger: Ledger,
        writer: Writer,
        resolved: Resolved,
        storage: str,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._spec = spec
        self._objective = objective_of(spec)
        self._num_trials = num_trials
        self._writer = writer
        self._resolved = resolved
        self._storage = storage
        writer.create_studies(self._objective.directions)
        self._trials: dict[Phase, list[Trial]] = {phase: [] for phase in PHASES}
        for trial in trials:
            self._trials[trial.phase].append(trial)
        self._earlier = ledger.earlier_trials(spec.name)
        self._budgets = budgets.so_far(spec, ledger, self._trials["search"])
        self._watchers = [self._budgets, *watchers]
        self._running: dict[str, Cohort] = {}
        self._given_up: dict[str, list[Result]] = {}
        self._queue = CohortQueue(self._trials, writer)
        self._baseline = BaselinePhase(spec)
        tell_recorded(writer, self._objective, self.trials)
        self._plan: PhasePlan | None = self._baseline
        while self._plan is not None and self._is_over(self._plan):
            self._announce(self._plan)
            self._plan = self._following(self._plan)
        if self._plan is not None:
            self._enter(self._plan)

    # What Ray Tune's side calls.

    @property
    def is_done(self) -> bool:
        """Whether every phase is over."""
        return self._plan is None

    def next_cohort(self) -> Cohort | None:
        """The next cohort to train; None while there is nothing to hand out.

        Raises:
            SweepFailedError: If the baseline cannot be trained.
        """
        while self._plan is not None:
            self._end_untrained()
            size = self._cohort_size(self._plan) if self._may_ask(self._plan) else 0
            cohort_id = self._queue.next(self._plan, size)
            if cohort_id is not None:
                cohort = self._start(cohort_id)
                if cohort.trials:
                    return cohort
                continue
            if unfinished(self._trials[self._plan.phase]):
                return None
            following = self._following(self._plan)
            if following is not None:
                self._enter(following)
            self._plan = following
        return None

    def began(self, cohort_id: str, first_step: int, worker: str) -> None:
        """A cohort is at work, from this step on, in this process."""
        attempt = self._running[cohort_id].attempt
        self._writer.record_begin(cohort_id, attempt, first_step, worker)
        if first_step > 0:
            for watcher in self._watchers:
                watcher.cohort_went_on(cohort_id, first_step)

    def progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """A cohort is still at work."""
        for watcher in self._watchers:
            watcher.cohort_progressed(cohort_id, num_steps_done)

    def warned(self, cohort_id: str, warning: str) -> None:
        """A cohort goes on, but with something that people should know."""
        for watcher in self._watchers:
            watcher.cohort_warned(cohort_id, warning)

    def ended(self, cohort_id: str, results: list[Result]) -> None:
        """Record a cohort's results: one write, then Optuna is told, then the watchers.

        Those that come twice, or of an older attempt, are dropped: the ledger has its own.
        """
        cohort = self._running.get(cohort_id)
        known = [] if cohort is None else self._taken_over(cohort)
        judged = [self._judged(result) for result in [*results, *known]]
        if (
            cohort is None
            or any(result.attempt != cohort.attempt for result in results)
            or not self._writer.record_results(cohort_id, cohort.attempt, judged)
        ):
            logger.warning(
                "results of %s came twice, or of an older attempt, and are dropped", cohort_id
            )
            return
        ended = [(self._trial(result.trial_id), result) for result in judged]
        tell(self._writer, self._objective, ended)
        del self._running[cohort_id]
        for result in judged:
            self._settle(result)
        for watcher in self._watchers:
            watcher.cohort_ended(cohort)

    def died(self, cohort_id: str, reason: str, *, with_machine: bool = False) -> None:
        """Try a cohort again that ended without results; see ``CohortQueue.take_back``."""
        cohort = self._running[cohort_id]
        # Asked again after an outage, its results may be in the ledger already.
        if cohort_id in self._given_up:
            self.ended(cohort_id, self._given_up[cohort_id])
            return
        attempts = self._writer.end_attempt(
            cohort_id, cohort.attempt, reason, with_machine=with_machine
        )
        queued = self._queue.take_back(cohort_id, attempts)
        if not queued:
            self._given_up[cohort_id] = [
                given_up(trial, cohort.attempt, attempts) for trial in cohort.trials
            ]
            self.ended(cohort_id, self._given_up[cohort_id])
            return
        del self._running[cohort_id]
        for watcher in self._watchers:
            if queued == [cohort_id]:
                watcher.cohort_died(cohort_id, last_line(reason))
            else:
                watcher.cohort_split(cohort_id, queued)

    # The end.

    def verdict(self) -> Json:
        """The verdict, once every phase is over."""
        plan = self._confirmation()
        confirmed = self._trials["confirmation"]
        found = findings(plan.candidates, confirmed, self._objective)
        num_confirmed = len(finalists_ever(confirmed))
        said = verdict(self._spec, found, self._trials["search"], num_confirmed)
        return with_end(said, self._budgets.closed)

    @property
    def trials(self) -> list[Trial]:
        """Every trial as it is known now."""
        return [trial for phase in PHASES for trial in self._trials[phase]]

    # Phases.

    def _enter(self, plan: PhasePlan) -> None:
        self._writer.enter_phase(plan.phase)
        self._announce(plan)

    def _announce(self, plan: PhasePlan) -> None:
        for watcher in self._watchers:
            watcher.phase_entered(plan.phase, plan.num_trials, self._trials[plan.phase])

    def _is_over(self, plan: PhasePlan) -> bool:
        trials = self._trials[plan.phase]
        return len(trials) >= plan.num_trials and not unfinished(trials)

    def _following(self, plan: PhasePlan) -> PhasePlan | None:
        match plan.phase:
            case "baseline":
                return search_phase(
                    self._spec,
                    self._trials["baseline"],
                    sampler=self._resolved.sampler,
                    num_trials=self._num_trials,
                    earlier=warm_start.learnt(self._earlier, self._baseline_losses()),
                    known=warm_start.known(self._earlier),
                )
            case "search":
                return self._confirmation()
            case _:
                return None

    def _baseline_settings(self) -> Settings:
        return self._baseline.settings(self._trials["baseline"])

    def _confirmation(self) -> ConfirmationPhase:
        return ConfirmationPhase(
            self._spec,
            self._baseline_settings(),
            self._trials["search"],
            self._trials["confirmation"],
        )

    # Cohorts.

    def _may_ask(self, plan: PhasePlan) -> bool:
        """Whether a new cohort may be asked for; a search whose budget is exhausted is closed."""
        if not isinstance(plan, SearchPhase):
            return True
        closed = self._budgets.close(len(self._trials["search"]), plan.num_trials)
        if closed is None:
            return self._budgets.leave_room(len(self._queue.promised("search")))
        if plan.num_trials > closed.num_asked:
            self._writer.close_search(closed.num_asked, closed.as_json())
            plan.num_trials = closed.num_asked
            for watcher in self._watchers:
                watcher.search_closed(closed.num_asked, closed.sentence)
        return False

    def _cohort_size(self, plan: PhasePlan) -> int:
        """As resolved; smaller where a known number of trials would leave workers idle."""
        if plan.phase == "search":
            return self._resolved.cohort_size
        share = -(-plan.num_trials // self._resolved.max_concurrent)
        return max(min(self._resolved.cohort_size, share), 1)

    def _start(self, cohort_id: str) -> Cohort:
        stopping = self._early_stopping if phase_of(cohort_id) == "search" else None
        attempt = self._writer.begin_attempt(cohort_id)
        trials = tuple(
            replace(trial, state="running", attempts=attempt)
            for trial in self._queue.members(cohort_id)
        )
        for trial in trials:
            self._trials[trial.phase][trial.number] = trial
        spec = self._spec
        cohort = Cohort(
            sweep=spec.name,
            cohort_id=cohort_id,
            attempt=attempt,
            trials=tuple(trial for trial in trials if trial.same_as is None),
            task=spec.task.model_dump(),
            training=training_settings(spec, self._resolved.precision, self._resolved.device),
            num_threads=self._resolved.cpus,
            storage=self._storage,
            checkpoint_s=spec.compute.checkpoint_s,
            early_stopping=stopping,
        )
        self._queue.taken(cohort_id)
        self._running[cohort_id] = cohort
        for watcher in self._watchers if cohort.trials else ():
            watcher.cohort_started(cohort)
        return cohort

    def _end_untrained(self) -> None:
        """End the cohorts that have nobody to train: the results of all their trials are known."""
        for cohort in [one for one in self._running.values() if not one.trials]:
            self.ended(cohort.cohort_id, [])

    def _taken_over(self, cohort: Cohort) -> list[Result]:
        """Results of a cohort's trials that are not trained."""
        members = self._queue.members(cohort.cohort_id)
        return known_results.of_untrained(members, cohort.attempt, self.trials, self._earlier)

    @cached_property
    def _early_stopping(self) -> EarlyStopping | None:
        """Read once, when the first cohort of the search is handed out."""
        return baseline_curves.early_stopping(
            self._spec, self._trials["baseline"], Storage(self._storage)
        )

    # Results.

    def _judged(self, result: Result) -> Result:
        """A search trial's result with its loss ratio against the baseline's replicates."""
        if not result.trial_id.startswith("search/") or result.state != "complete":
            return result
        seeds = self._trial(result.trial_id).seeds
        ratio = loss_ratio(result.replicates, seeds, self._baseline_losses())
        return replace(result, loss_ratio=ratio)

    def _baseline_losses(self) -> dict[int, float]:
        rate = float(self._baseline_settings()["learning_rate"])
        return baseline_losses(self._trials["baseline"], rate)

    def _settle(self, result: Result) -> None:
        trial = replace(self._trial(result.trial_id), state=result.state, result=result)
        self._trials[trial.phase][trial.number] = trial
        for watcher in self._watchers:
            watcher.trial_ended(trial)

    def _trial(self, trial_id: str) -> Trial:
        phase, number = trial_id.split("/")
        return self._trials[phase][int(number)]  # type: ignore[index]
