from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Choice, Float, Int, Space
from service.ledger import Writer
from service.objective import AT_MOST, LOSS_RATIO, MAXIMIZE, Goal, Limit, Objective
from service.search import Proposal, Search
from service.search.proposals import values_in
from service.search.samplers import SAMPLERS
from service.spec import Spec
from service.trials import Result, Settings, Trial

OBJECTIVE = Objective(
    goals=(Goal("feature_coverage", MAXIMIZE),), limits=(Limit(LOSS_RATIO, 1.02, AT_MOST),)
)

BASE: dict[str, float | int | str] = {
    "num_neurons": 64,
    "nonlinearity": "relu",
    "learning_rate": 0.02,
    "initial_bias": 0.0,
    "bias_decay": 0.0,
    "l1": 0.0,
}
SPACE = Space(
    {
        "initial_bias": Float(-1.0, 0.0),
        "bias_decay": Float(0.1, 10.0, log=True),
        "num_neurons": Int(32, 128, step=32),
        "nonlinearity": Choice(("relu", "gelu")),
        "l1": 0.5,
    }
)


CONDITIONAL = Space(
    {
        "initial_bias": Float(-1.0, 0.0),
        "l1": Float(0.1, 1.0, log=True),
        "nonlinearity": Choice(("relu", "gelu")),
        "num_neurons": Int(32, 128, step=32),
    },
    {"l1": {"nonlinearity": ("gelu",)}},
)
GRID = Space(
    {
        "initial_bias": Float(-1.0, 0.0, points=4),
        "l1": Float(0.1, 1.0, log=True, points=3),
        "nonlinearity": Choice(("relu", "gelu")),
    },
    {"l1": {"nonlinearity": ("gelu",)}},
)


def new_search(space: Space = SPACE, **changes: Any) -> Search:
    values: dict[str, Any] = {
        "sampler": "tpe",
        "sweep_seed": 7,
        "num_trials": 12,
        "objective": OBJECTIVE,
    }
    return Search(space, BASE, **{**values, **changes})


def asked(number: int, proposed: Proposal) -> Trial:
    return Trial(
        phase="search",
        number=number,
        settings=proposed.settings,
        varied=proposed.varied,
        memory=proposed.memory,
        seeds=(0,),
        cohort_id="search-0",
        state="running",
    )


def ended(trial: Trial, state: Any = "complete") -> Trial:
    """Lower biases are more monosemantic, and beyond -0.5 cost more loss than the margin."""
    bias = float(trial.settings["initial_bias"])
    result = Result(
        trial_id=trial.trial_id,
        attempt=1,
        state=state,
        metrics={"feature_coverage": -bias} if state == "complete" else {},
        loss_ratio=1.0 + (0.5 if bias < -0.5 else 0.0) if state == "complete" else None,
        num_steps=1,
        train_s=0.0,
        standings={"1": {LOSS_RATIO: 1.0, "feature_coverage": -bias / 2}},
    )
    return replace(trial, state=state, result=result)


def test_a_proposal_has_every_setting_and_lies_in_the_space() -> None:
    [proposed] = new_search().proposals([], 1)
    assert set(proposed.settings) == set(BASE)
    assert (proposed.settings["learning_rate"], proposed.settings["l1"]) == (0.02, 0.5)
    assert set(proposed.varied) == set(SPACE.varied)
    for name, parameter in SPACE.varied.items():
        assert parameter.contains(proposed.settings[name])


def test_a_space_without_choice_proposes_what_it_fixes() -> None:
    search = new_search(Space({"initial_bias": -0.25}))
    assert search.proposals([], 2) == 2 * [Proposal({**BASE, "initial_bias": -0.25}, ())]


def searched(
    states: Sequence[str],
    stops: frozenset[tuple[int, int]] = frozenset(),
    space: Space = SPACE,
    **changes: Any,
) -> list[Trial]:
    """Cohorts of two; at a stop, a cohort and how many of it were asked for, the search is lost."""
    search, trials = new_search(space, **changes), list[Trial]()
    for cohort in range(len(states) // 2):
        for asked_so_far in range(2):
            if (cohort, asked_so_far) in stops:
                search = new_search(space, **changes)
            trials.append(asked(len(trials), *search.proposals(trials, 1)))
        trials[-2:] = [ended(trial, states[trial.number]) for trial in trials[-2:]]
    return trials


def proposed_settings(*args: Any, **changes: Any) -> list[Settings]:
    return [trial.settings for trial in searched(*args, **changes)]


ends = st.lists(
    st.sampled_from(["complete", "complete", "failed", "pruned"]), min_size=14, max_size=14
)
stop_sets = st.frozensets(st.tuples(st.integers(0, 6), st.integers(0, 1)), max_size=5)
EARLIER = [
    (trial.settings, trial.result)
    for trial in searched(["complete"] * 5 + ["pruned"], sampler="random", sweep_seed=99)
    if trial.result is not None
]


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp"}))
@settings(max_examples=8, deadline=None)
@given(
    states=ends,
    stops=stop_sets,
    seed=st.integers(0, 3),
    has_conditions=st.booleans(),
    earlier=st.sampled_from([[], EARLIER]),
)
def test_a_search_rebuilt_anywhere_proposes_as_one_that_never_stopped(
    *,
    sampler: str,
    states: list[str],
    stops: frozenset[tuple[int, int]],
    seed: int,
    has_conditions: bool,
    earlier: list[tuple[Settings, Result]],
) -> None:
    space = GRID if sampler == "grid" else CONDITIONAL if has_conditions else SPACE
    changes: dict[str, Any] = {"sampler": sampler, "sweep_seed": seed, "earlier": earlier}
    if sampler != "grid":
        changes["enqueued"] = [{"initial_bias": -1, "num_neurons": 64}]
    whole = searched(states, space=space, **changes)
    assert searched(states, stops, space, **changes) == whole


def test_a_search_by_gp_rebuilt_anywhere_proposes_as_one_that_never_stopped() -> None:
    """Few asks: each fits its model. What is foreseen moves with every trial that ends."""
    states = ["complete"] * 3 + ["pruned", "complete", "failed", "pruned"] + ["complete"] * 3
    whole = searched(states, sampler="gp")
    assert searched(states, frozenset({(2, 1), (3, 1), (4, 0)}), sampler="gp") == whole
    assert whole[6:] != searched(states, sampler="random")[6:]


def test_nsga2_breeds_generations_and_keeps_their_parents_with_the_trials() -> None:
    """Four trials a generation: the least, since an eighth of the budget is one."""
    trials = searched(["complete"] * 14, sampler="nsga2")
    generations = [trial.memory["generation"] for trial in trials]
    assert generations == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert all("parents" not in trial.memory for trial in trials[:4])
    assert all(sorted(trial.memory["parents"]) == [0, 1, 2, 3] for trial in trials[4:8])
    late = new_search(sampler="nsga2")
    rebuilt = late.proposals(trials[:9], 1)
    assert rebuilt[0].memory["parents"] == trials[8].memory["parents"]


def test_proposals_depend_on_the_seed_of_the_sweep() -> None:
    assert new_search(sweep_seed=1).proposals([], 1) != new_search(sweep_seed=2).proposals([], 1)


def test_no_two_proposals_of_a_search_are_drawn_alike() -> None:
    biases = {one.settings["initial_bias"] for one in new_search().proposals([], 12)}
    assert len(biases) == 12


def test_after_the_first_random_trials_tpe_learns_and_random_does_not() -> None:
    """Four trials are drawn at random (a quarter of 12, at least 4), the rest depend on them."""
    as_found, all_failed = ["complete"] * 8, ["failed"] * 8
    for sampler, learns in (("tpe", True), ("random", False)):
        one = proposed_settings(as_found, sampler=sampler)
        other = proposed_settings(all_failed, sampler=sampler)
        assert one[:4] == other[:4]
        assert (one[4:] != other[4:]) is learns


def test_tpe_goes_to_the_ceiling_and_stays_below_it() -> None:
    """By ``ended`` the best feasible bias is -0.5, and a better objective lies beyond it."""
    search, trials = new_search(num_trials=40), list[Trial]()
    for number in range(40):
        trials.append(ended(asked(number, *search.proposals(trials, 1))))
    biases = [float(trial.settings["initial_bias"]) for trial in trials]
    feasible_late = [bias for bias in biases[20:] if bias >= -0.5]
    assert len(feasible_late) >= 14  # by chance it would be 10
    assert min(feasible_late) < -0.4


def test_a_region_that_diverges_is_left() -> None:
    search, trials = new_search(num_trials=40), list[Trial]()
    for number in range(40):
        trial = asked(number, *search.proposals(trials, 1))
        beyond = float(trial.settings["initial_bias"]) < -0.5
        trials.append(ended(trial, "failed" if beyond else "complete"))
    assert sum(trial.state == "failed" for trial in trials[20:]) <= 6  # by chance it would be 10


def test_a_search_catches_up_from_the_ledger(
    tiny_writer: Writer, record: Callable[..., None], make_spec: Callable[..., Spec]
) -> None:
    """What went through the database proposes the same as what never left memory."""
    space = make_spec().space
    search, trials = new_search(space), list[Trial]()
    for number in range(8):
        trial = asked(number, *search.proposals(trials, 1))
        trials.append(ended(trial, "failed" if number == 3 else "complete"))
    trials.append(asked(8, *search.proposals(trials, 1)))
    record(tiny_writer, *trials)
    from_ledger = tiny_writer.ledger.trials("tiny", "search")
    assert new_search(space).proposals(from_ledger, 3) == search.proposals(trials, 3)


def test_what_was_proposed_and_not_yet_kept_is_proposed_again() -> None:
    search, trials = new_search(), list[Trial]()
    for number in range(6):
        trials.append(ended(asked(number, *search.proposals(trials, 1))))
    first, second, third = search.proposals(trials, 3)
    assert search.proposals(trials, 3) == [first, second, third]
    # The ledger went away after the first of them.
    trials.append(asked(6, first))
    assert search.proposals(trials, 2) == [second, third]
    assert new_search().proposals(trials, 2) == [second, third]


def test_a_parameter_with_a_condition_is_there_only_where_it_holds() -> None:
    for sampler in ("tpe", "random", "quasi_random"):
        for trial in searched(["complete"] * 14, space=CONDITIONAL, sampler=sampler):
            is_there = trial.settings["nonlinearity"] == "gelu"
            assert ("l1" in trial.varied) is is_there
            assert (trial.settings["l1"] >= 0.1) if is_there else (trial.settings["l1"] == 0.0)  # type: ignore[operator]


def test_points_that_the_user_believes_in_come_first_and_what_they_leave_out_is_filled_in() -> None:
    points = [{"initial_bias": -1, "num_neurons": 64}, {"nonlinearity": "gelu"}]
    first, second, third = new_search(enqueued=points).proposals([], 3)
    assert (first.settings["initial_bias"], first.settings["num_neurons"]) == (-1.0, 64)
    assert type(first.settings["initial_bias"]) is float
    assert second.settings["nonlinearity"] == "gelu"
    assert all(SPACE.varied[name].contains(first.settings[name]) for name in SPACE.varied)
    assert third != new_search().proposals([], 1)[0]


FEW = Space({"num_neurons": Int(32, 96, step=32), "nonlinearity": Choice(("relu", "gelu"))})


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp"}))
def test_a_small_space_is_seen_whole_before_points_come_twice(sampler: str) -> None:
    """Six points: a sampler that repeats one is asked again, up to five times."""
    count = 6 if sampler == "grid" else 8
    found = new_search(FEW, sampler=sampler, num_trials=8).proposals([], count)
    distinct = {tuple(one.settings.items()) for one in found}
    # By chance eight draws of six points show 4.6 of them.
    assert len(distinct) == 6


def test_a_space_that_is_exhausted_is_proposed_from_again() -> None:
    one_choice = Space({"nonlinearity": Choice(("relu", "gelu"))})
    found = new_search(one_choice).proposals([], 4)
    assert [one.settings["nonlinearity"] for one in found].count("relu") in (1, 2, 3)
    assert len(found) == 4


def test_stopped_trials_rank_behind_all_others_and_by_how_far_they_came() -> None:
    """Of eight random trials one is good; TPE's good tenth is one trial, so it is that one.

    Without anything complete it is the one that came farthest.
    """
    far = searched(["pruned"] * 20, sampler="tpe", num_trials=16)
    search = new_search(num_trials=16)
    trials = [
        replace(trial, result=replace(trial.result, num_steps=64 if trial.number == 3 else 32))  # type: ignore[type-var]
        for trial in far[:8]
    ]
    search.proposals(trials, 1)
    from optuna.samplers._tpe.sampler import _split_trials

    study = search._mirror._study
    held = [study.trials[index] for index in range(8)]
    below, _ = _split_trials(study, held, 1)
    assert [trial.number for trial in below] == [3]


def test_earlier_sweeps_stand_for_the_first_random_trials() -> None:
    """With six trials to learn from the model proposes at once; four would be drawn at random."""
    cold, warm = new_search(), new_search(earlier=EARLIER)
    assert cold.proposals([], 1) != warm.proposals([], 1)


def test_earlier_trials_that_do_not_lie_in_the_space_are_left_out() -> None:
    settings = {**BASE, "initial_bias": -0.5, "bias_decay": 1.0, "l1": 0.5}
    expected = {
        "initial_bias": -0.5,
        "bias_decay": 1.0,
        "num_neurons": 64,
        "nonlinearity": "relu",
    }
    assert values_in(SPACE, BASE, settings) == expected
    assert values_in(SPACE, BASE, {**settings, "initial_bias": -1.5}) is None
    assert values_in(SPACE, BASE, {**settings, "num_neurons": 65}) is None
    assert values_in(SPACE, BASE, {**settings, "l1": 0.0}) is None  # the space fixes it
    assert values_in(SPACE, BASE, {**settings, "learning_rate": 0.5}) is None
    beside = {**BASE, "initial_bias": -0.5}
    assert values_in(CONDITIONAL, BASE, beside) == {
        "initial_bias": -0.5,
        "nonlinearity": "relu",
        "num_neurons": 64,
    }
    assert values_in(CONDITIONAL, BASE, {**beside, "l1": 0.5}) is None
