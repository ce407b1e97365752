"""What a sweep file says of its search: samplers, conditions, grids, points, earlier sweeps."""

import pytest

from search_spaces import Choice, Float, Space
from service.errors import SpecError
from service.spec import Spec, json_schema, parse_spec

# The line numbers below are this file's.
TEXT = """\
name: mine
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 256, batch_size: 32, learning_rate: 0.02}
objective: {maximize: monosemantic_per_feature}
search_space:
  initial_bias: BIAS
  nonlinearity: {choice: [relu, gelu]}
  l1: L1
search:
  num_trials: 4
  EXTRA
early_stopping: STOPPING
"""
BIAS, L1 = "{float: [-1.0, 0.0]}", "{float: [0.0, 1.0]}"
ONLY_GELU = "{float: [0.0, 1.0], when: {nonlinearity: gelu}}"


def written(
    *, bias: str = BIAS, l1: str = L1, extra: str = "seed: 0", stopping: str = "null"
) -> Spec:
    text = TEXT.replace("BIAS", bias).replace("L1", l1).replace("EXTRA", extra)
    return parse_spec(text.replace("STOPPING", stopping), origin="my.yaml")


def when(condition: str) -> dict[str, str]:
    return {"l1": f"{{float: [0.0, 1.0], when: {condition}}}"}


@pytest.mark.parametrize("condition", ["{nonlinearity: gelu}", "{nonlinearity: [gelu]}"])
def test_a_parameter_varies_only_where_its_condition_holds(condition: str) -> None:
    spec = written(**when(condition))
    assert spec.space == Space(
        {
            "initial_bias": Float(-1.0, 0.0),
            "l1": Float(0.0, 1.0),
            "nonlinearity": Choice(("relu", "gelu")),
        },
        {"l1": {"nonlinearity": ("gelu",)}},
    )
    again = Spec.from_settings(spec.settings(), spec.text)
    assert again == spec
    assert again.space == spec.space


def test_what_is_not_written_is_not_in_the_settings_of_a_parameter() -> None:
    """So that sweeps of earlier versions have the same."""
    assert written().settings()["search_space"]["l1"] == {"float": [0.0, 1.0], "log": False}


def test_points_to_begin_with_are_kept_as_written() -> None:
    spec = written(l1=ONLY_GELU, extra="enqueue: [{initial_bias: -1, nonlinearity: gelu, l1: 0.5}]")
    assert spec.search.enqueue == ({"initial_bias": -1, "nonlinearity": "gelu", "l1": 0.5},)
    assert Spec.from_settings(spec.settings(), spec.text) == spec


def test_a_grid_may_be_tried_whole_or_in_part() -> None:
    finite = {"bias": "{float: [-1.0, 0.0], points: 2}", "l1": "{float: [0.0, 1.0], points: 2}"}
    assert written(**finite, extra="sampler: grid").search.num_trials == 4
    conditional = "{float: [0.0, 1.0], points: 2, when: {nonlinearity: gelu}}"
    # Two biases times (relu, gelu with two penalties).
    whole = written(bias=finite["bias"], l1=conditional, extra="sampler: grid\n  replicates: 1")
    assert whole.search.sampler == "grid"
    with pytest.raises(SpecError, match="num_trials must be at most 2 for this grid"):
        written(bias="-1.0", l1="0.5", extra="sampler: grid")


GP, NSGA2 = "sampler: gp", "sampler: nsga2"
REFUSED = [
    # samplers
    ({"extra": NSGA2, "stopping": "{first_step: 64}"}, "search.sampler", 12,
     "sampler must be one that learns from stopped trials where early_stopping is on, found nsga2, "
     "which ignores them", "Write sampler: tpe or gp, or early_stopping: null."),
    ({"extra": GP, "l1": ONLY_GELU}, "search.sampler", 12,
     "sampler must be one that learns of parameters with a when, found gp, which would draw l1 "
     "at random", "Write sampler: tpe, or drop when."),
    ({"extra": NSGA2, "l1": ONLY_GELU}, "search.sampler", 12,
     "sampler must be one that learns of parameters with a when, found nsga2, which would draw l1 "
     "at random", "Write sampler: tpe, or drop when."),
    # conditions
    (when("{nonlinearty: gelu}"), "search_space.l1.when.nonlinearty", 9,
     "found nonlinearty, which the space does not name", "Name one of nonlinearity."),
    (when("{num_neurons: 64}"), "search_space.l1.when.num_neurons", 9,
     "found num_neurons, which the space does not name", "Name one of nonlinearity."),
    (when("{nonlinearity: solu}"), "search_space.l1.when.nonlinearity", 9,
     "when must have values that nonlinearity can have, found solu", "Take them from relu, gelu."),
    (when("{nonlinearity: [gelu, 3]}"), "search_space.l1.when.nonlinearity", 9, "found 3", "Take"),
    (when("{initial_bias: -1.0}"), "search_space.l1.when.initial_bias", 9,
     "found initial_bias, which may be any number of a range", "Name one of nonlinearity."),
    (when("{initial_bias: -1.0}") | {"bias": "-1.0"}, "search_space.l1.when.initial_bias", 9,
     "found initial_bias, which is fixed", "Name one of nonlinearity."),
    (when("{l1: 0.0}"), "search_space.l1.when.l1", 9, "found l1, the parameter itself", "Name"),
    (when("{nonlinearity: gelu}") | {"bias": "{float: [-1.0, 0.0], when: {l1: 0.0}}"},
     "search_space.initial_bias.when.l1", 7, "found l1, which has a when itself", "Name one of"),
    (when("gelu"), "search_space.l1.when", 9,
     "when must be a mapping of other parameters to a value of theirs, or to a list of values, "
     "found the text 'gelu'", "Write one, such as {nonlinearity: gelu}."),
    (when("{}"), "search_space.l1.when", 9, "found {}", "Write one"),
    (when("null") | {"bias": "{float: [0.0, -1.0]}"}, "search_space.initial_bias", 7,
     "initial_bias must be a range whose low end", "Swap"),
    (when("{nonlinearity: []}"), "search_space.l1.when", 9, "found {nonlinearity: []}", "Write"),
    (when("{nonlinearity: true}"), "search_space.l1.when", 9, "found", "Write one"),
    # grids
    ({"l1": "{float: [0.0, 1.0], points: 3}"}, "search_space.l1.points", 9,
     "points must be left out unless search.sampler is grid, found 3", "Remove it, or write"),
    ({"l1": "{float: [0.0, 1.0], points: 1}", "extra": "sampler: grid"}, "search_space.l1.points",
     9, "points must be from 2 to 65536, found 1", "Raise it."),
    ({"l1": "{choice: [0.0, 1.0], points: 2}"}, "search_space.l1.points", 9,
     "search_space.l1 must have only keys it knows, found points", "Remove it; the keys are"),
    ({"extra": "sampler: grid"}, "search_space.l1", 9,
     "l1 must have a number of points where sampler is grid, found any number of a range",
     "Add points, such as {float: [0.0, 1.0], points: 5}."),
    ({"bias": "-1.0", "l1": "{float: [0, 1], points: 2, when: {nonlinearity: gelu}}",
      "extra": "sampler: grid"}, "search.num_trials", 11,
     "num_trials must be at most 3 for this grid, which has so many points, found 4",
     "Write num_trials: 3, or fewer to try some of them."),
    ({"bias": "-1.0", "l1": "{choice: [0, 1]}",
      "extra": "sampler: grid\n  enqueue: [{l1: 1}]"}, "search.enqueue", 13,
     "enqueue must be left out where sampler is grid, which has points of its own, found 1 points",
     "Remove it, or take another sampler."),
    # points
    ({"extra": "enqueue: 3"}, "search.enqueue", 12,
     "enqueue must be a list of at most 1024 points, found 3", "Write it as such"),
    ({"extra": "enqueue: [-1.0]"}, "search.enqueue[0]", 12,
     "enqueue must be a mapping of parameters to numbers or words, found -1.0", "Write one"),
    ({"extra": "enqueue: [{}]"}, "search.enqueue[0]", 12, "found {}", "Write one"),
    ({"extra": "enqueue: [{l1: true}]"}, "search.enqueue[0]", 12, "found {l1: true}", "Write one"),
    ({"extra": "enqueue:\n  - {l1: 0.5}\n  - {l1: 2}"}, "search.enqueue[1].l1", 14,
     "l1 must be in [0.0, 1.0], found 2", "Change it."),
    ({"extra": "enqueue: [{nonlinearity: solu}]"}, "search.enqueue[0].nonlinearity", 12,
     "nonlinearity must be one of relu, gelu, found solu", "Change it."),
    ({"extra": "enqueue: [{initial_bais: -1}]"}, "search.enqueue[0].initial_bais", 12,
     "enqueue must give values to parameters that vary, found initial_bais",
     "Did you mean initial_bias?"),
    ({"extra": "enqueue: [{num_neurons: 64}]"}, "search.enqueue[0].num_neurons", 12,
     "enqueue must give values to parameters that vary, found num_neurons",
     "They are initial_bias, l1, nonlinearity."),
    ({"l1": ONLY_GELU, "extra": "enqueue: [{l1: 0.5}]"}, "search.enqueue[0].l1", 12,
     "l1 must stand beside nonlinearity: gelu, where it varies, found no nonlinearity",
     "Add nonlinearity to the point, or remove l1."),
    ({"l1": ONLY_GELU, "extra": "enqueue: [{nonlinearity: relu, l1: 0.5}]"},
     "search.enqueue[0].l1", 12, "found nonlinearity: relu", "Change nonlinearity, or remove l1."),
    ({"extra": f"enqueue: [{', '.join(['{l1: 0.5}'] * 5)}]"}, "search.enqueue", 12,
     "enqueue must have at most search.num_trials points, which is 4, found 5", "Remove some"),
    # earlier sweeps
    ({"extra": "warm_start: other"}, "search.warm_start", 12,
     "warm_start must be a list of at most 64 names of sweeps, found the text 'other'", "Write"),
    ({"extra": "warm_start: [a/b]"}, "search.warm_start[0]", 12, "a simple word", "Write such"),
    ({"extra": "warm_start: [other, mine]"}, "search.warm_start[1]", 12,
     "warm_start must name other sweeps, found the sweep itself, mine", "Remove it"),
    ({"extra": "warm_start: [other, other]"}, "search.warm_start[1]", 12,
     "warm_start must name each sweep once, found other again", "Remove it."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "path", "line", "message", "advice"),
    REFUSED,
    ids=[f"{index}-{row[1]}" for index, row in enumerate(REFUSED)],
)
def test_a_refusal_says_what_must_hold_what_was_found_where_and_what_to_do(
    changes: dict[str, str], path: str, line: int, message: str, advice: str
) -> None:
    with pytest.raises(SpecError) as caught:
        written(**changes)
    (problem,) = [found for found in caught.value.problems if found.path == path]
    assert problem.line == line
    statement, place, remedy = problem.message.partition(f" ({path}, line {line}). ")
    assert message in statement
    assert place
    assert remedy.startswith(advice)


def test_a_wrong_parameter_is_said_once_and_not_of_its_consequences_too() -> None:
    with pytest.raises(SpecError) as caught:
        written(
            bias="{float: [-1.0, 0.0], points: 0}",
            l1="{float: [0.0, 1.0], points: 2}",
            extra="sampler: grid",
        )
    assert [problem.path for problem in caught.value.problems] == [
        "search_space.initial_bias.points"
    ]


def test_a_sweep_cannot_be_renamed_to_one_that_it_starts_from() -> None:
    spec = written(extra="warm_start: [other]")
    with pytest.raises(SpecError, match="found the sweep itself, other"):
        spec.with_name("other")


def test_the_schema_explains_the_new_keys() -> None:
    schema = json_schema()["$defs"]
    assert {"enqueue", "warm_start"} <= set(schema["SearchSpec"]["properties"])
    ranges = schema["StrengthFloatRange"]["properties"]
    assert {"points", "when"} <= set(ranges)
    assert all("description" in ranges[name] for name in ("points", "when"))
