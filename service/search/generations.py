"""What NSGA-II must know again after an interruption: the generation of each trial, its parents.

It counts generations by the trials that were complete when it was asked, and chooses the parents of
a generation once, from those; neither can be told from the trials later. So both are kept with the
trial that was asked for, in its one commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.samplers import NSGAIISampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial

_GENERATION = NSGAIISampler._get_generation_key()
_PARENTS = NSGAIISampler._get_parent_cache_key_prefix()

# What stands for the generation of trials that the sampler did not ask for itself.
FIRST: Mapping[str, Any] = {"generation": 0}


def of(trial: FrozenTrial) -> int | None:
    """A trial's generation; None where NSGA-II gave it none."""
    generation: int | None = trial.system_attrs.get(_GENERATION)
    return generation


def parents(storage: InMemoryStorage, study_id: int, generation: int) -> list[int] | None:
    """Optuna's ids of a generation's parents; None where they were not chosen yet."""
    found: list[int] | None = storage.get_study_system_attrs(study_id).get(
        f"{_PARENTS}{generation}"
    )
    return found


def of_ask(
    storage: InMemoryStorage, study_id: int, trial: Trial, places: Mapping[int, int]
) -> dict[str, Any]:
    """What is to be kept with a trial that was just asked for; nothing for other samplers.

    Args:
        storage: Where the study is.
        study_id: Optuna's id of the study.
        trial: The trial.
        places: Of the trials before it, by Optuna's ids; parents are named by them.
    """
    generation = of(storage.get_trial(trial._trial_id))
    if generation is None:
        return {}
    chosen = parents(storage, study_id, generation)
    if chosen is None:
        return {"generation": generation}
    return {"generation": generation, "parents": [places[one] for one in chosen]}


def of_trial(memory: Mapping[str, Any]) -> dict[str, Any]:
    """The trial's own part of it, in NSGA-II's words."""
    return {_GENERATION: memory["generation"]} if "generation" in memory else {}


def restore(
    storage: InMemoryStorage, study_id: int, memory: Mapping[str, Any], trial_ids: Sequence[int]
) -> None:
    """Tell the study the parents of a trial's generation."""
    if "parents" in memory:
        chosen = [trial_ids[place] for place in memory["parents"]]
        storage.set_study_system_attr(study_id, f"{_PARENTS}{memory['generation']}", chosen)
