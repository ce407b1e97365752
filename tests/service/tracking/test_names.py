"""What a list of runs calls each; examples written by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.tracking import Facts
from service.tracking.names import run_name, standings
from service.trials import Trial

MakeTrial = Callable[..., Trial]
SETTINGS = {"initial_bias": -0.83690948, "bias_decay": 0.0775, "num_neurons": 1024}


@pytest.fixture
def facts(make_facts: Callable[..., Facts]) -> Facts:
    return make_facts("named")


@pytest.mark.parametrize(
    ("standing", "changed", "name"),
    [
        ("winner", {}, "search/13 winner: bias -0.837 decay 0.0775 k 1024"),
        (None, {}, "search/13: bias -0.837 decay 0.0775 k 1024"),
        (None, {"loss_ratio": 1.6}, "search/13 infeasible: bias -0.837 decay 0.0775 k 1024"),
        (
            None,
            {"state": "failed", "reason": "diverged: loss 99 at step 64"},
            "search/13 diverged: bias -0.837 decay 0.0775 k 1024",
        ),
        (
            None,
            {"state": "failed", "reason": "its worker died three times"},
            "search/13 failed: bias -0.837 decay 0.0775 k 1024",
        ),
        (
            None,
            {"state": "pruned", "reason": "rank 4 of 4"},
            "search/13 stopped at 256: bias -0.837 decay 0.0775 k 1024",
        ),
    ],
)
def test_search_trials_have_number_what_is_special_and_settings(
    make_trial: MakeTrial, facts: Facts, standing: str | None, changed: Any, name: str
) -> None:
    found = {"loss_ratio": 0.9, "loss": 1.0, "monosemantic_per_feature": 0.5, **changed}
    assert run_name(make_trial("search", 13, settings=SETTINGS, **found), facts, standing) == name


def test_others_have_role_and_seed(make_trial: MakeTrial, facts: Facts) -> None:
    baseline = make_trial("baseline", 2, seeds=(2,), loss=1.0)
    assert run_name(baseline, facts) == "baseline/2: seed 2 lr 0.02 k 64"
    again = make_trial("confirmation", 6, role="search/13 at 64", seeds=(500002,), loss=1.0)
    assert run_name(again, facts) == "confirmation/6 search/13 at 64: seed 500002 lr 0.02 k 64"
    same = replace(make_trial("search", 3, loss_ratio=1.0, loss=1.0), same_as="search/1")
    assert run_name(same, facts).startswith("search/3 same as search/1: bias 0")


def test_the_best_stands_out_until_the_verdict_says_who_does(make_trial: MakeTrial) -> None:
    best = make_trial("search", 4, loss=1.0)
    assert standings(None, None) == {}
    assert standings(best, None) == {"search/4": "best so far"}
    finalists = [
        {"role": "search/4", "is_finalist": True},
        {"role": "search/7", "is_finalist": True},
        {"role": "search/4 at 64", "is_finalist": False},
    ]
    verdict = {"winner": {"trial": "search/7"}, "finalists": finalists}
    assert standings(best, verdict) == {"search/4": "finalist", "search/7": "winner"}
    # As the first versions wrote them, which confirmed nobody but finalists.
    early = {"winner": None, "finalists": [{"role": "search/4", "passes": False}]}
    assert standings(best, early) == {"search/4": "finalist"}
    no_winner = {**verdict, "winner": None}
    assert set(standings(best, no_winner).values()) == {"finalist"}
