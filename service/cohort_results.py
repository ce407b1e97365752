"""What came of a cohort's trials: results for the ledger, and the files that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from service.cohort_tables import curves_table, neurons_table
from service.storage import Storage
from service.trials import Result, State, Trial, by_trial

if TYPE_CHECKING:
    from service.cohort import Cohort
    from trainers import CohortState, Outcome

# Of curves, neurons and networks, below the storage.
FOLDER = "results"
# How the name of a file of networks ends.
NETWORKS = ".safetensors"


def written_results(cohort: "Cohort", state: "CohortState", storage: Storage) -> list[Result]:
    """The results of a finished cohort, the files that they name written to the storage first.

    Raises:
        OSError: If the storage does not answer.
    """
    import trainers  # noqa: PLC0415

    outcomes = list(by_trial(cohort.trials, trainers.outcomes(state)))
    records = by_trial(cohort.trials, state.records)
    stopping = cohort.early_stopping
    folder = f"{FOLDER}/{cohort.sweep}/{cohort.cohort_id}"
    add = storage.add_table
    curves = add(f"{folder}/curves-{cohort.attempt}", curves_table(outcomes))
    neurons = add(f"{folder}/neurons-{cohort.attempt}", neurons_table(outcomes))
    weights = _written_weights(cohort, state, storage, folder)
    return [
        _result(
            trial,
            replicates,
            _end(cohort, trial, replicates, state),
            attempt=cohort.attempt,
            curves=curves,
            neurons=neurons,
            weights=weights.get(trial.trial_id),
            standings=None if stopping is None else stopping.standings(trial, known),
        )
        for (trial, replicates), (_, known) in zip(outcomes, records, strict=True)
    ]


def _written_weights(
    cohort: "Cohort", state: "CohortState", storage: Storage, folder: str
) -> dict[str, str]:
    """Paths of the networks that are kept, by trial id.

    Of the finalists and what they are compared with: those of a search are as many as its
    trials, and whoever wants one can have it trained again to the same bits.
    """
    import trainers  # noqa: PLC0415

    if cohort.phase != "confirmation":
        return {}
    trained = by_trial(cohort.trials, trainers.trained_networks(state))
    return {
        trial.trial_id: storage.add_file(
            f"{folder}/weights-{trial.number}-{cohort.attempt}",
            trainers.networks_to_bytes([one for one in networks if one is not None]),
            NETWORKS,
        )
        for trial, networks in trained
        if None not in networks
    }


def _end(
    cohort: "Cohort", trial: Trial, outcomes: Sequence["Outcome"], state: "CohortState"
) -> tuple[State, str | None]:
    """How a trial ended, and why if that was not at the last step."""
    diverged = [outcome.reason for outcome in outcomes if outcome.reason is not None]
    if diverged:
        return "failed", f"diverged: {diverged[0]}"
    stopping, step = cohort.early_stopping, outcomes[0].dropped_at
    if stopping is None or step is None:
        return "complete", None
    return "pruned", stopping.reason(cohort.trials, state.records, trial.number, step)


def _result(
    trial: Trial,
    outcomes: Sequence["Outcome"],
    end: tuple[State, str | None],
    *,
    attempt: int,
    curves: str,
    neurons: str,
    weights: str | None,
    standings: Mapping[str, Mapping[str, float]] | None,
) -> Result:
    state, reason = end
    evaluations = [outcome.evaluation for outcome in outcomes]
    replicates = tuple(
        {name: float(value) for name, value in asdict(evaluation).items()}
        for evaluation in evaluations
        if evaluation is not None
    )
    is_complete = state == "complete"
    return Result(
        trial_id=trial.trial_id,
        attempt=attempt,
        state=state,
        reason=reason,
        metrics=_means(replicates) if is_complete else {},
        replicates=replicates if is_complete else (),
        num_steps=max(_num_steps(outcome) for outcome in outcomes),
        train_s=sum(outcome.train_s for outcome in outcomes),
        standings=standings,
        curves=curves,
        neurons=neurons,
        weights=weights,
    )


def _num_steps(outcome: "Outcome") -> int:
    for ended_at in (outcome.diverged_at, outcome.dropped_at):
        if ended_at is not None:
            return ended_at
    return int(outcome.curve.steps[-1])


def _means(replicates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        name: sum(replicate[name] for replicate in replicates) / len(replicates)
        for name in replicates[0]
    }
