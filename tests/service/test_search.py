from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import Choice, Float, Int, Space
from service.ledger import Writer
from service.objective import AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.search import Search, distributions, resolve_sampler
from service.spec import Spec
from service.trials import Result, Settings, Trial

OBJECTIVE = Objective((Goal("feature_coverage", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),))
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


def new_search(space: Space = SPACE, **changes: Any) -> Search:
    values = {
        "sampler": "tpe",
        "sweep_seed": 7,
        "num_trials": 12,
        "objective": OBJECTIVE,
    }
    return Search(space, BASE, **{**values, **changes})  # type: ignore[arg-type]


def asked(number: int, proposed: Settings, space: Space = SPACE) -> Trial:
    return Trial(
        phase="search",
        number=number,
        settings=proposed,
        varied=tuple(space.varied),
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
    )
    return replace(trial, state=state, result=result)


def test_distributions_are_optunas_words_for_what_varies() -> None:
    space = Space(
        {
            "a": Float(-1.0, 0.0),
            "b": Float(0.1, 10.0, log=True),
            "c": Int(32, 128, step=32),
            "d": Int(1, 64, log=True),
            "e": Choice(("relu", "gelu", 3)),
            "fixed": 0.5,
            "one value left": Float(2.0, 2.0),
            "one option left": Choice(("relu",)),
        }
    )
    assert distributions(space) == {
        "a": FloatDistribution(-1.0, 0.0),
        "b": FloatDistribution(0.1, 10.0, log=True),
        "c": IntDistribution(32, 128, step=32),
        "d": IntDistribution(1, 64, log=True),
        "e": CategoricalDistribution(("relu", "gelu", 3)),
    }


def test_auto_is_tpe_and_a_name_is_itself() -> None:
    assert [resolve_sampler(name) for name in ("auto", "tpe", "random")] == ["tpe", "tpe", "random"]


def test_a_proposal_has_every_setting_and_lies_in_the_space() -> None:
    [proposed] = new_search().proposals([], 1)
    assert set(proposed) == set(BASE)
    assert (proposed["learning_rate"], proposed["l1"]) == (0.02, 0.5)
    for name, parameter in SPACE.varied.items():
        assert parameter.contains(proposed[name])


def test_a_space_without_choice_proposes_what_it_fixes() -> None:
    search = new_search(Space({"initial_bias": -0.25}))
    assert search.proposals([], 2) == 2 * [{**BASE, "initial_bias": -0.25}]


def searched(
    states: Sequence[str], stops: frozenset[tuple[int, int]], **changes: Any
) -> list[Settings]:
    """Cohorts of two; at a stop, a cohort and how many of it were asked for, the search is lost."""
    search, trials = new_search(**changes), list[Trial]()
    for cohort in range(len(states) // 2):
        for asked_so_far in range(2):
            if (cohort, asked_so_far) in stops:
                search = new_search(**changes)
            trials.append(asked(len(trials), *search.proposals(trials, 1)))
        trials[-2:] = [ended(trial, states[trial.number]) for trial in trials[-2:]]
    return [trial.settings for trial in trials]


ends = st.lists(st.sampled_from(["complete", "failed", "pruned"]), min_size=10, max_size=10)
stop_sets = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 1)), max_size=4)


@settings(max_examples=15, deadline=None)
@given(ends, stop_sets, st.sampled_from(["tpe", "random"]), st.integers(0, 3))
def test_a_search_rebuilt_anywhere_proposes_as_one_that_never_stopped(
    states: list[str], stops: frozenset[tuple[int, int]], sampler: str, seed: int
) -> None:
    changes = {"sampler": sampler, "sweep_seed": seed}
    assert searched(states, stops, **changes) == searched(states, frozenset(), **changes)


def test_proposals_depend_on_the_seed_of_the_sweep() -> None:
    assert new_search(sweep_seed=1).proposals([], 1) != new_search(sweep_seed=2).proposals([], 1)


def test_no_two_proposals_of_a_search_are_drawn_alike() -> None:
    biases = {proposed["initial_bias"] for proposed in new_search().proposals([], 12)}
    assert len(biases) == 12


def test_after_the_first_random_trials_tpe_learns_and_random_does_not() -> None:
    """Four trials are drawn at random (a quarter of 12, at least 4), the rest depend on them."""
    as_found, all_failed = ["complete"] * 8, ["failed"] * 8
    for sampler, learns in (("tpe", True), ("random", False)):
        one = searched(as_found, frozenset(), sampler=sampler)
        other = searched(all_failed, frozenset(), sampler=sampler)
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
        trial = asked(number, *search.proposals(trials, 1), space)
        trials.append(ended(trial, "failed" if number == 3 else "complete"))
    trials.append(asked(8, *search.proposals(trials, 1), space))
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


TWO = Objective((Goal("feature_coverage", MAXIMIZE), Goal("num_neurons", MINIMIZE)), ())


@settings(max_examples=10, deadline=None)
@given(ends, stop_sets, st.sampled_from(["tpe", "random"]))
def test_so_does_one_with_two_objectives(
    states: list[str], stops: frozenset[tuple[int, int]], sampler: str
) -> None:
    changes = {"sampler": sampler, "objective": TWO}
    assert searched(states, stops, **changes) == searched(states, frozenset(), **changes)


def test_tpe_of_two_objectives_learns_both_directions() -> None:
    """By ``ended`` the lowest bias covers most; the fewest neurons of the space are 32."""
    search, trials = new_search(num_trials=40, objective=TWO), list[Trial]()
    for number in range(40):
        trials.append(ended(asked(number, *search.proposals(trials, 1))))
    late = [trial.settings for trial in trials[20:]]
    assert sum(float(one["initial_bias"]) < -0.5 for one in late) >= 14  # by chance it would be 10
    assert sum(one["num_neurons"] == 32 for one in late) >= 8  # by chance it would be 5


def test_tpe_keeps_a_limit_that_is_none_of_the_losses() -> None:
    """Of 32 to 128 neurons at most 64 are allowed, by chance half of the trials."""
    limited = Objective((Goal("feature_coverage", MAXIMIZE),), (Limit("num_neurons", 64, AT_MOST),))
    search, trials = new_search(num_trials=40, objective=limited), list[Trial]()
    for number in range(40):
        trials.append(ended(asked(number, *search.proposals(trials, 1))))
    assert sum(int(trial.settings["num_neurons"]) <= 64 for trial in trials[20:]) >= 15
