"""Asking for settings, so that a search which was interrupted proposes what it would have proposed.

Proposals are made in a mirror of the search's study, in memory, and only then created in the
ledger, each with its parameters and cohort in one commit. The sampler is made anew for every ask,
from the sweep's seed and the trial's number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import InMemoryStorage
from threadpoolctl import threadpool_limits

from search_spaces import Float, Space, Value
from service.objective import Objective
from service.search import foresight, generations
from service.search.mirror import Mirror
from service.search.newest_generations import NewestGenerations
from service.search.samplers import COMPLETE_ONLY, SAMPLERS
from service.trials import Result, Settings, Trial

# Asks for a trial whose settings were proposed before; then the space is taken to be exhausted.
MAX_ASKS = 5


@dataclass(frozen=True)
class Proposal:
    """Settings for one trial.

    Attributes:
        settings: Every setting of the network.
        varied: Names of those that were proposed.
        memory: What the sampler must know of the trial besides, to go on after an interruption.
    """

    settings: Settings
    varied: tuple[str, ...]
    memory: Mapping[str, Any] = field(default_factory=dict)


class Search:
    """Proposes settings for a search's trials.

    Args:
        space: What may vary, and what it fixes.
        base: Every setting's value where the space does not say it.
        sampler: A name in ``SAMPLERS``.
        sweep_seed: The seed of the sweep.
        num_trials: The search's budget as the sweep began; samplers are set for it.
        objective: What the search is after.
        enqueued: Points to try first; what one leaves out the sampler fills in.
        earlier: Results of earlier sweeps, by their values of what varies.
    """

    def __init__(
        self,
        space: Space,
        base: Settings,
        *,
        sampler: str,
        sweep_seed: int,
        num_trials: int,
        objective: Objective,
        enqueued: Sequence[Mapping[str, Value]] = (),
        earlier: Sequence[tuple[Settings, Result]] = (),
    ) -> None:
        self._space = space
        self._base = base
        self._make_sampler = SAMPLERS[sampler](space, sweep_seed, num_trials)
        self._foresees = sampler in COMPLETE_ONLY
        self._objective = objective
        self._enqueued = [_typed(space, point) for point in enqueued]
        needs_newest_only = sampler == "nsga2" and not space.conditions
        self._make_storage = NewestGenerations if needs_newest_only else InMemoryStorage
        self._mirror = Mirror(space, objective.directions, self._make_storage())
        self._earlier: list[tuple[dict[str, Value], Settings, Result]] = []
        self._told: set[int] = set()
        self._proposals: list[Proposal] = []
        self._seen: set[tuple[tuple[str, Value], ...]] = set()
        for settings, result in earlier:
            self._learn(settings, result)
        if self._foresees:
            self._look_again([])

    @property
    def distributions(self) -> Mapping[str, Any]:
        """Optuna's words for what varies."""
        return self._mirror.distributions

    def proposals(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Settings for the next trials, made with everything that is known of the earlier ones.

        Asked again before they are in the ledger, it gives the same: the mirror counts what it
        has proposed as running.

        Args:
            trials: All of the search's trials in the ledger, by number.
            count: How many are wanted.
        """
        self._catch_up(trials)
        # Small matrices: more threads only take the processors from the workers, and wait for
        # each other. Optuna's own limit comes too late for libraries that are loaded already.
        with threadpool_limits(1):
            while len(self._proposals) < len(trials) + count:
                self._add(self._asked(len(self._proposals)))
        return self._proposals[len(trials) : len(trials) + count]

    def _catch_up(self, trials: Sequence[Trial]) -> None:
        """Bring the mirror up to what the ledger holds."""
        for trial in trials[len(self._proposals) :]:
            self._add(Proposal(trial.settings, trial.varied, trial.memory))
        untold = [
            (trial.number, trial.settings, trial.result)
            for trial in trials
            if trial.result is not None and trial.number not in self._told
        ]
        self._told.update(number for number, _, _ in untold)
        if self._foresees and untold:
            self._look_again(trials)
            return
        for number, settings, result in untold:
            told = self._objective.told(result, settings)
            self._mirror.tell(len(self._earlier) + number, result, told)

    def _look_again(self, trials: Sequence[Trial]) -> None:
        """Make the mirror anew: what is foreseen of a trial moves with each that ends."""
        self._mirror = Mirror(self._space, self._objective.directions, self._make_storage())
        for values, _, _ in self._earlier:
            self._mirror.add(values, generations.FIRST)
        for proposal in self._proposals:
            self._mirror.add(_values(proposal), proposal.memory)
        ended = {
            place: (settings, result) for place, (_, settings, result) in enumerate(self._earlier)
        }
        ended |= {
            len(self._earlier) + trial.number: (trial.settings, trial.result)
            for trial in trials
            if trial.result is not None
        }
        told = foresight.told(list(ended.values()), self._objective)
        for (place, (_, result)), one in zip(ended.items(), told, strict=True):
            self._mirror.tell(place, result, one)

    def _add(self, proposal: Proposal) -> None:
        values = _values(proposal)
        self._mirror.add(values, proposal.memory)
        self._proposals.append(proposal)
        self._seen.add(_key(values))

    def _asked(self, number: int) -> Proposal:
        """What the sampler proposes for a trial; asked again where it was proposed before."""
        given = self._enqueued[number] if number < len(self._enqueued) else {}
        for retry in range(MAX_ASKS):
            values, memory = self._mirror.ask(self._make_sampler(number, retry), given)
            if _key(values) not in self._seen:
                break
        settings = {**self._base, **self._space.settings(values)}
        return Proposal(settings, tuple(values), memory)

    def _learn(self, settings: Settings, result: Result) -> None:
        """Tell the mirror what came of an earlier sweep's trial."""
        values = values_in(self._space, self._base, settings)
        if values is not None:
            self._mirror.add(values, generations.FIRST)
            self._mirror.tell(len(self._earlier), result, self._objective.told(result, settings))
            self._earlier.append((values, settings, result))


def values_in(space: Space, base: Settings, settings: Settings) -> dict[str, Value] | None:
    """What settings of another sweep's trial are in a space; None where they do not lie in it.

    Args:
        space: What may vary, and what it fixes.
        base: Every setting's value where the space does not say it.
        settings: Every setting of the trial.
    """
    values = space.there({name: settings[name] for name in space.varied})
    if not all(space.varied[name].contains(value) for name, value in values.items()):
        return None
    return values if {**base, **space.settings(values)} == dict(settings) else None


def _typed(space: Space, point: Mapping[str, Value]) -> dict[str, Value]:
    """A point with its numbers as its parameters have them: -1 for a range of floats is -1.0."""
    return {
        name: float(value) if isinstance(space.varied[name], Float) else value
        for name, value in point.items()
    }


def _values(proposal: Proposal) -> dict[str, Value]:
    """What was proposed."""
    return {name: proposal.settings[name] for name in proposal.varied}


def _key(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))
