"""What each phase of a sweep trains next, as a function of what has come back so far.

A phase is asked again and again for the points that are still missing. It answers from the trials
alone, so that it says the same after any interruption.
"""

from collections import ChainMap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from service import confirmation, known_results
from service.confirmation import Candidate
from service.errors import SweepFailedError
from service.objective import baseline_losses, baseline_rate, objective_of
from service.spec import Spec
from service.trials import ENDED, Phase, Point, Result, Settings, Trial, replicate_seeds

if TYPE_CHECKING:
    from service.search import Search

# Learning rates that a tuned baseline tries, beside the file's own: the paper's grid, and 0.02.
LEARNING_RATES = (0.001, 0.003, 0.005, 0.007, 0.01, 0.02, 0.03)
# Rates that get every seed, after all were tried on one: the loss of near ties differs little.
NUM_RATES_KEPT = 2
MIN_SEEDS = 2


class PhasePlan(Protocol):
    """One phase: which points it still wants trained."""

    @property
    def phase(self) -> Phase:
        """Its study."""

    @property
    def num_trials(self) -> int:
        """How many trials it will have in all, as far as is known now."""

    def missing(self, trials: Sequence[Trial], limit: int) -> list[Point]:
        """At most ``limit`` points to train now; none means wait, or that the phase is over."""


def base_settings(spec: Spec) -> dict[str, float | int | str]:
    """Every setting as the file's ``model`` and ``training`` have it."""
    return {
        "num_neurons": spec.model.num_neurons,
        "nonlinearity": spec.model.nonlinearity,
        "learning_rate": spec.training.learning_rate,
        "initial_bias": spec.training.initial_bias,
        "bias_decay": spec.training.bias_decay,
        "l1": spec.training.l1,
    }


class BaselinePhase:
    """The reference point: zero mean bias, no decay, the model's width, on several seeds.

    Its learning rate is the file's, or tuned: every rate of a grid on the first seed, then the two
    of lowest loss on all seeds, and the better of these by mean loss.

    Args:
        spec: The sweep file.
    """

    phase: Phase = "baseline"

    def __init__(self, spec: Spec) -> None:
        self._settings = {**base_settings(spec), "initial_bias": 0.0, "bias_decay": 0.0}
        self._seeds = replicate_seeds(spec.search.seed, spec.baseline.num_seeds, fresh=False)
        given = spec.training.learning_rate
        self._shared = self._seeds[: spec.search.replicates]
        self._rates = _rates(spec) if spec.baseline.learning_rate == "tuned" else (given,)

    @property
    def num_trials(self) -> int:
        """All rates on one seed, the kept ones on all."""
        kept = min(len(self._rates), NUM_RATES_KEPT)
        return len(self._rates) + kept * (len(self._seeds) - 1)

    def missing(self, trials: Sequence[Trial], limit: int) -> list[Point]:
        """The first round, and once it has ended the second."""
        wanted = [self._point(rate, self._seeds[0]) for rate in self._rates]
        if len(self._rates) == 1:
            wanted += [self._point(self._rates[0], seed) for seed in self._seeds[1:]]
        elif _ended(trials, wanted):
            wanted += [
                self._point(rate, seed) for rate in self._kept(trials) for seed in self._seeds[1:]
            ]
        return _not_among(trials, wanted)[:limit]

    def settings(self, trials: Sequence[Trial]) -> Settings:
        """The baseline's settings, its learning rate tuned if it is to be.

        Raises:
            SweepFailedError: If it did not train to the end on at least two seeds, and on every
                seed that it shares with the search.
        """
        rate = baseline_rate(trials)
        losses = {} if rate is None else baseline_losses(trials, rate)
        missing = [seed for seed in self._shared if seed not in losses]
        if rate is None or len(losses) < MIN_SEEDS or missing:
            reasons = {t.result.reason for t in trials if t.result is not None and t.result.reason}
            raise SweepFailedError(
                "the baseline must train to the end on at least 2 seeds and on every seed of the "
                f"search, found {len(losses)} complete and {len(missing)} of the search's missing "
                f"({'; '.join(sorted(reasons))}). Lower training.learning_rate, or let the "
                "baseline be tuned (baseline: {learning_rate: tuned})."
            )
        if min(losses.values()) <= 0.0:
            raise SweepFailedError(
                "the baseline's loss must be above 0 for a loss ratio, found 0. Make the task "
                "harder: more features, a higher feature_density, or fewer inputs."
            )
        return {**self._settings, "learning_rate": rate}

    def _kept(self, trials: Sequence[Trial]) -> list[float]:
        losses = {
            rate: found[self._seeds[0]]
            for rate in self._rates
            if self._seeds[0] in (found := baseline_losses(trials, rate))
        }
        return sorted(losses, key=lambda rate: (losses[rate], rate))[:NUM_RATES_KEPT]

    def _point(self, rate: float, seed: int) -> Point:
        return Point(settings={**self._settings, "learning_rate": rate}, seeds=(seed,))


class SearchPhase:
    """The search: as many proposals as the budget says.

    Args:
        spec: The sweep file.
        search: The one who proposes.
        num_trials: The budget.
        known: Of the baseline and of earlier sweeps; see ``known_results``.
    """

    phase: Phase = "search"

    def __init__(
        self,
        spec: Spec,
        search: "Search",
        num_trials: int,
        known: known_results.Known | None = None,
    ) -> None:
        self._known = dict(known or {})
        # The search's own points that were trained to the end, each entered once.
        self._trained = known_results.Trained()
        self.num_trials = num_trials
        self._search = search
        self._seeds = replicate_seeds(spec.search.seed, spec.search.replicates, fresh=False)
        self.distributions = search.distributions

    def missing(self, trials: Sequence[Trial], limit: int) -> list[Point]:
        """The next proposals, made with everything that is known now."""
        count = min(limit, self.num_trials - len(trials))
        self._trained.look(trials)
        known = ChainMap(self._known, self._trained.known)
        return [
            Point(
                settings=proposal.settings,
                seeds=self._seeds,
                varied=proposal.varied,
                memory=proposal.memory,
                same_as=known.get(known_results.key(proposal.settings, self._seeds)),
            )
            for proposal in self._search.proposals(trials, count)
        ]


def search_phase(
    spec: Spec,
    baseline: Sequence[Trial],
    *,
    sampler: str,
    num_trials: int,
    earlier: Sequence[tuple[Settings, Result]],
    known: known_results.Known,
) -> SearchPhase:
    """The search that a sweep file asks for, at the baseline's learning rate.

    Args:
        spec: The sweep file.
        baseline: The baseline's trials, all ended.
        sampler: Who proposes.
        num_trials: The budget, which may have been raised since the sweep began.
        earlier: Settings and results of earlier sweeps to learn from.
        known: Points of earlier sweeps whose results hold here too; the baseline's always do.

    Raises:
        SweepFailedError: If the baseline cannot be trained.
    """
    # It brings Optuna, which a sweep file that is only checked does not need.
    from service.search import Search  # noqa: PLC0415

    rate = BaselinePhase(spec).settings(baseline)["learning_rate"]
    search = Search(
        spec.space,
        {**base_settings(spec), "learning_rate": rate},
        sampler=sampler,
        sweep_seed=spec.search.seed,
        num_trials=spec.search.num_trials,
        objective=objective_of(spec),
        enqueued=spec.search.enqueue,
        earlier=earlier,
    )
    return SearchPhase(spec, search, num_trials, {**known, **known_results.of_trials(baseline)})


class ConfirmationPhase:
    """The candidates again, on seeds that the search never saw; none where the file asks for none.

    Args:
        spec: The sweep file.
        baseline: The baseline's settings.
        search_trials: The ended trials of the search.
        confirmed: The confirmation's own trials that are there already; where the sweep was
            extended, some of candidates that are none any more.
    """

    phase: Phase = "confirmation"

    def __init__(
        self,
        spec: Spec,
        baseline: Settings,
        search_trials: Sequence[Trial],
        confirmed: Sequence[Trial] = (),
    ) -> None:
        self.candidates: list[Candidate] = []
        self._points: list[Point] = []
        if spec.confirmation is not None:
            self.candidates = confirmation.candidates(
                baseline,
                search_trials,
                objective_of(spec),
                spec.confirmation.finalists,
                len(spec.search.enqueue),
            )
            seeds = replicate_seeds(spec.search.seed, spec.confirmation.num_seeds, fresh=True)
            self._points = confirmation.points(self.candidates, seeds)
        # Former candidates' trials stay, and do not stand for those of new ones.
        self.num_trials = len(confirmed) + len(_not_among(confirmed, self._points))

    def missing(self, trials: Sequence[Trial], limit: int) -> list[Point]:
        """What of the candidates and seeds is not there yet."""
        return _not_among(trials, self._points)[:limit]


def _rates(spec: Spec) -> tuple[float, ...]:
    """The grid, less the rates at which the searched decay would turn biases round."""
    _, most = spec.space.bounds("bias_decay", spec.training.bias_decay)
    given = spec.training.learning_rate
    return tuple(sorted({given, *(rate for rate in LEARNING_RATES if rate * most < 1.0)}))


def num_confirmations(spec: Spec) -> int:
    """Trials of a confirmation at most.

    The baseline, the finalists, a setting at the baseline's width, and the best enqueued one; none
    where nothing is to be confirmed.
    """
    if spec.confirmation is None:
        return 0
    width = spec.model.num_neurons
    is_varied = spec.space.bounds("num_neurons", width) != (width, width)
    num_others = is_varied + bool(spec.search.enqueue)
    return (1 + spec.confirmation.finalists + num_others) * spec.confirmation.num_seeds


def _key(point: Point | Trial) -> tuple[object, ...]:
    return (point.role, point.seeds, tuple(sorted(point.settings.items())))


def _not_among(trials: Sequence[Trial], wanted: Sequence[Point]) -> list[Point]:
    there = {_key(trial) for trial in trials}
    return [point for point in wanted if _key(point) not in there]


def _ended(trials: Sequence[Trial], wanted: Sequence[Point]) -> bool:
    ended = {_key(trial) for trial in trials if trial.state in ENDED}
    return all(_key(point) in ended for point in wanted)
