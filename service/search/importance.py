"""How much each setting mattered, by Optuna's PED-ANOVA, against what chance alone would show."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from search_spaces import Space
from service.search.ranges import distributions
from service.trials import Trial

# Shufflings of the values over the trials, each a search in which nothing mattered.
NUM_SHUFFLES = 99
SEED = 0


def importances(
    space: Space,
    trials: Sequence[Trial],
    costs: Sequence[float],
    best: float,
    num_shuffles: int = NUM_SHUFFLES,
) -> dict[str, tuple[float, bool | None]]:
    """How much each setting had to do with reaching the best trials.

    PED-ANOVA compares where the best trials lie with where all of them lie. So it is not misled by
    a sampler that tried one corner more than the rest, and takes settings that only some trials
    have.
    Optuna's other evaluators, fANOVA and mean decrease in impurity, fit a random forest to the
    whole space: to few trials, most of them in one corner, and with scikit-learn, which nothing
    else here needs.

    Args:
        space: What the search varies.
        trials: Some of its trials; those of the first versions vary nothing else.
        costs: A number for each, the lower the better.
        best: The part of them that counts as the best, in (0, 1).
        num_shuffles: Shufflings to compare with; they take nearly all of the time.

    Returns:
        For each setting its share, all of them 1 together (or 0, where the best lie as all do),
        and whether it is larger than in any shuffling of the values over the trials: by chance
        that happens to one setting in a hundred. None without shufflings.
    """
    study = _study(space, trials)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=best)
    found = _evaluated(evaluator, study, costs)
    generator = np.random.default_rng(SEED)
    by_chance = [
        _evaluated(evaluator, study, generator.permutation(costs).tolist())
        for _ in range(num_shuffles)
    ]
    total = math.fsum(found.values())
    return {
        name: (
            value / total if total else 0.0,
            all(value > shuffled[name] for shuffled in by_chance) if by_chance else None,
        )
        for name, value in found.items()
    }


def _study(space: Space, trials: Sequence[Trial]) -> optuna.Study:
    study = optuna.create_study()
    varied = distributions(space)
    for trial in trials:
        mine = {name: varied[name] for name in trial.varied}
        # Optuna looks at the values of the target only, but a complete trial must have one.
        study.add_trial(create_trial(params=trial.params, distributions=mine, value=0.0))
    return study


def _evaluated(
    evaluator: PedAnovaImportanceEvaluator, study: optuna.Study, costs: Sequence[float]
) -> Mapping[str, float]:
    with warnings.catch_warnings():
        # That lower is taken for better, which it is here.
        warnings.simplefilter("ignore")
        return evaluator.evaluate(study, target=lambda trial: float(costs[trial.number]))
