"""A search replayed on recorded trainings: real sampler, real early stopping, nothing trained.

What is proposed is trained as the nearest recorded setting that the replay has not had yet, with
the curve of one seed. A replay is of one worker, which trains one cohort at a time.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from recording import Recording, seeds_of

from service.early_stopping import EarlyStopping
from service.objective import objective_of
from service.phases import base_settings
from service.search import Search
from service.search.mirror import Mirror
from service.trials import Result, Settings, Trial
from trainers.outcome import Record

# Found is a feasible setting within so much of the best one that is recorded.
NEAR = 0.05

# Trials so far -> settings of the next one.
Propose = Callable[[Sequence[Trial]], Settings]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a search goes.

    Attributes:
        propose: Makes who proposes, from what is replayed and a seed.
        cohort_size: Trials that are asked for before any of them is trained.
        stops: Whether trials are stopped early, as the recorded sweep file says.
    """

    propose: Callable[[Recording, int], Propose]
    cohort_size: int = 1
    stops: bool = False


def sampler(name: str, num_trials: int = 100) -> Callable[[Recording, int], Propose]:
    """One of monosweep's samplers.

    Args:
        name: Its name in a sweep file.
        num_trials: The budget that it is set for.
    """

    def make(recorded: Recording, seed: int) -> Propose:
        spec = recorded.spec

        def propose(trials: Sequence[Trial]) -> Settings:
            # Made anew, as after an interruption: it sees what was trained, not what it proposed.
            search = Search(
                spec.space,
                base_settings(spec),
                sampler=name,
                sweep_seed=seed,
                num_trials=num_trials,
                objective=objective_of(spec),
            )
            return search.proposals(trials, 1)[0].settings

        return propose

    return make


def optunas(
    make_sampler: Callable[[int], optuna.samplers.BaseSampler],
) -> Callable[[Recording, int], Propose]:
    """One of Optuna's own samplers as it comes, told every loss ratio.

    Args:
        make_sampler: Of a seed.
    """

    def make(recorded: Recording, seed: int) -> Propose:
        objective = objective_of(recorded.spec)
        mirror = Mirror(recorded.spec.space, objective.directions, InMemoryStorage())
        own, told = make_sampler(seed), set[int]()

        def propose(trials: Sequence[Trial]) -> Settings:
            for trial in trials[len(mirror) :]:
                mirror.add(trial.params, {})
            for trial in trials:
                if trial.result is not None and trial.number not in told:
                    known = objective.told(trial.result, trial.settings)
                    mirror.tell(trial.number, trial.result, known)
                    told.add(trial.number)
            values, _ = mirror.ask(own, {})
            return {**base_settings(recorded.spec), **values}

        return propose

    return make


@dataclass(frozen=True)
class Moment:
    """Where a replay stands after a cohort.

    Attributes:
        num_steps: Training steps of all its networks so far.
        complete: Numbers of the recorded settings that were trained to the end.
        stopped: Those that were stopped early.
    """

    num_steps: int
    complete: tuple[int, ...]
    stopped: tuple[int, ...]


def replay(recorded: Recording, method: Method, seed: int) -> Iterator[Moment]:
    """A search of one replicate, cohort by cohort, until nothing recorded is left.

    Args:
        recorded: What trainings come to.
        method: How it searches.
        seed: Of the sampler; even and odd ones have different seeds of the networks.
    """
    propose, stopping = method.propose(recorded, seed), recorded.early_stopping()
    network, *_ = networks_of(recorded, seed)
    left = dict(zip(recorded.numbers, recorded.places, strict=True))
    trials, numbers = list[Trial](), list[int]()
    while len(left) >= method.cohort_size:
        first = len(trials)
        for _ in range(method.cohort_size):
            number = _nearest(left, recorded.place(propose(trials)))
            del left[number]
            numbers.append(number)
            trials.append(
                Trial(
                    phase="search",
                    number=len(trials),
                    settings=recorded.settings[number],
                    varied=tuple(recorded.spec.space.varied),
                    seeds=(network,),
                    cohort_id=f"search-{first}",
                    state="running",
                )
            )
        trials[first:] = _trained(recorded, trials[first:], numbers[first:], stopping, method.stops)
        yield _moment(trials, numbers)


def networks_of(recorded: Recording, seed: int) -> list[int]:
    """The networks' seeds: the one that a replay is trained on, then the others."""
    seeds = seeds_of(recorded.spec, 0)
    first = seed % len(seeds)
    return [*seeds[first:], *seeds[:first]]


def _nearest(left: dict[int, np.ndarray], place: Sequence[float]) -> int:
    return min(left, key=lambda number: float(((left[number] - place) ** 2).sum()))


def _trained(
    recorded: Recording,
    trials: Sequence[Trial],
    numbers: Sequence[int],
    stopping: EarlyStopping,
    stops: bool,
) -> list[Trial]:
    """A cohort's trials with what came of them."""
    seed = trials[0].seeds[0]
    records = [Record(points=list(recorded.curves[number, seed])) for number in numbers]
    for rung in stopping.rungs if stops else ():
        worst = stopping.stopped(trials, records, rung)
        for trial, record in zip(trials, records, strict=True):
            if trial.number in worst and record.dropped_at is None:
                record.dropped_at = rung
    return [
        replace(trial, state=result.state, result=result)
        for trial, number, record in zip(trials, numbers, records, strict=True)
        for result in [_result(recorded, trial, number, record, stopping)]
    ]


def _result(
    recorded: Recording, trial: Trial, number: int, record: Record, stopping: EarlyStopping
) -> Result:
    (seed,) = trial.seeds
    standings = stopping.standings(trial, [record])
    if record.dropped_at is not None:
        return Result(
            trial_id=trial.trial_id,
            attempt=1,
            state="pruned",
            num_steps=record.dropped_at,
            train_s=0.0,
            standings=standings,
        )
    end = {name: float(value) for name, value in vars(recorded.end(number, seed)).items()}
    return Result(
        trial_id=trial.trial_id,
        attempt=1,
        state="complete",
        metrics=end,
        replicates=(end,),
        loss_ratio=recorded.loss_ratio(number, seed),
        num_steps=recorded.spec.training.num_steps,
        train_s=0.0,
        standings=standings,
    )


def _moment(trials: Sequence[Trial], numbers: Sequence[int]) -> Moment:
    ends = [
        (trial.result, number)
        for trial, number in zip(trials, numbers, strict=True)
        if trial.result is not None
    ]
    return Moment(
        num_steps=sum(result.num_steps for result, _ in ends),
        complete=tuple(number for result, number in ends if result.state == "complete"),
        stopped=tuple(number for result, number in ends if result.state == "pruned"),
    )


def steps_until_found(recorded: Recording, moments: Iterable[Moment]) -> float:
    """Training steps until a setting near the best was trained to the end; infinite if never."""
    enough = (1.0 - NEAR) * max(recorded.worth.values())
    for moment in moments:
        if any(recorded.worth.get(number, -math.inf) >= enough for number in moment.complete):
            return moment.num_steps
    return math.inf


def winner_is_lost(recorded: Recording, moments: Iterable[Moment], num_trials: int) -> bool:
    """Whether, of so many trials, early stopping let one go that was clearly better than the rest.

    Clearly: all that were trained to the end are worse by more than ``NEAR``. Feasible settings
    alone count.
    """
    for moment in moments:
        kept, gone = (
            max((recorded.worth.get(number, -math.inf) for number in numbers), default=-math.inf)
            for numbers in (moment.complete, moment.stopped)
        )
        if len(moment.complete) + len(moment.stopped) >= num_trials:
            return kept < (1.0 - NEAR) * gone
    return False


def worth_of_finalists(
    recorded: Recording,
    moments: Iterable[Moment],
    seed: int,
    *,
    num_steps: int,
    num_raced: int,
) -> float:
    """What the better of two finalists is worth, as a share of the best that is recorded.

    Args:
        recorded: What trainings come to.
        moments: A replay.
        seed: Of the replay.
        num_steps: Training steps that all of it may take, as nearly as cohorts go into them.
        num_raced: The best so many trials are trained on the other seed too, before two of them
            become finalists; paid for with fewer trials.
    """
    first, other = networks_of(recorded, seed)[:2]
    left = num_steps - num_raced * recorded.spec.training.num_steps
    complete: tuple[int, ...] = ()
    for moment in moments:
        if moment.num_steps > left:
            break
        complete = moment.complete
    once, twice = (
        {number: recorded.worth_on(number, seeds) for number in complete}
        for seeds in ([first], [first, other])
    )
    ranked = sorted(complete, key=lambda number: -once[number])
    raced = sorted(ranked[:num_raced], key=lambda number: -twice[number])
    finalists = (*raced, *ranked[num_raced:])[:2]
    best = max(recorded.worth.values())
    return max((recorded.worth.get(number, 0.0) for number in finalists), default=0.0) / best
