"""The network of a trial to be looked into: kept since its confirmation, or trained again."""

from dataclasses import dataclass

from service.errors import MonosweepError, UserError
from service.opened import OpenSweep
from service.reproduction import OnStep, reproduce
from service.trials import Trial
from trainers import Network


@dataclass(frozen=True)
class FoundNetwork:
    """A network, and where it is from.

    Attributes:
        network: The network.
        trial: The trial that it is of: of a finalist's one of its confirmation.
        origin: A sentence for people.
    """

    network: Network
    trial: Trial
    origin: str


def network_of(sweep: OpenSweep, trial_id: str, on_step: OnStep = lambda _: None) -> FoundNetwork:
    """The network of a trial's first seed.

    Those of confirmation trials were kept. A search trial that was confirmed is represented by the
    first of its confirmation; any other is trained again here, to the same bits where versions and
    processor are those of then.

    Args:
        sweep: The sweep.
        trial_id: The trial; a bare number means search.
        on_step: Told now and then how many steps of a training are done.

    Raises:
        UserError: If there is no such trial, it did not end complete, or this machine cannot train
            it.
        StorageError: If its networks or its curves are gone or damaged.
        StorageAwayError: If the storage does not answer.
        MonosweepError: If it does not end complete when it is trained again.
    """
    trial = sweep.trial(trial_id)
    if trial.result is None or trial.result.state != "complete":
        raise UserError(
            f"a trial must be complete to be looked into, found {trial.trial_id} {trial.state}. "
            f"Name another; monosweep status {sweep.name} tells the best."
        )
    for one in (trial, *(one for one in sweep.known_trials if one.role == trial.trial_id)):
        kept = sweep.kept_networks(one.trial_id)
        if kept:
            whose = "" if one is trial else f", which confirmed {trial.trial_id},"
            origin = f"The network that {one.trial_id}{whose} ended with, seed {one.seeds[0]}."
            return FoundNetwork(kept[0], one, origin)
    again = reproduce(sweep, trial.trial_id, on_step)
    if not again.networks:
        raise MonosweepError(
            f"{trial.trial_id} must end complete when it is trained again, and did not: "
            f"see monosweep reproduce {sweep.name} {trial.trial_id}"
        )
    same = "other numbers than" if again.differences else "the same numbers as"
    origin = f"{trial.trial_id} trained again, with {same} then, seed {trial.seeds[0]}."
    return FoundNetwork(again.networks[0], trial, origin)
