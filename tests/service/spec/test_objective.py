"""The objective of a sweep file: what it means, and every refusal with its words."""

# ruff: noqa: E501  a row of the table reads better on its line

import json

import jsonschema
import pytest

from service.errors import SpecError
from service.objective import AT_MOST, MAXIMIZE, Goal, Limit, Objective, objective_of
from service.spec import Spec, differences, json_schema, load_spec, parse_spec
from service.spec.objective import NUMBERS
from service.spec.sweep_file import locate

OBJECTIVE = "objective: {maximize: monosemantic_per_feature, loss_margin: 0.02}"
LINE = 29


def with_objective(written: str, *replaced: tuple[str, str]) -> str:
    text = load_spec("quickstart").text
    for old, new in ((OBJECTIVE, f"objective: {written}"), *replaced):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


FIXED = ("search_space: bias_and_width\n", "search_space: {initial_bias: {float: [-1, 0]}}\n")
STOPPED = ("early_stopping: auto", "early_stopping: {}")
ONE_OF = f"one of {', '.join(NUMBERS)}, or a list of them"
WIDTHS = "must be a limit that some networks keep and others do not"


@pytest.mark.parametrize(
    ("written", "settings"),
    [
        ("{}", {"maximize": "monosemantic_per_feature"}),
        ("{maximize: [feature_coverage]}", {"maximize": "feature_coverage"}),
        ("{minimize: loss, loss_margin: null}", {"minimize": "loss", "loss_margin": None}),
        ("{maximize: null, minimize: [loss, num_neurons]}", {"minimize": ["loss", "num_neurons"]}),
        ("{minimize: train_s, at_most: {loss: 1}}", {"minimize": "train_s", "at_most": {"loss": 1.0}}),
        ("{loss_margin: null, maximize: mean_bias, at_most: {loss_ratio: 1.1}, at_least: {num_neurons: 300}}",
         {"maximize": "mean_bias", "loss_margin": None, "at_most": {"loss_ratio": 1.1}, "at_least": {"num_neurons": 300}}),
    ],
)  # fmt: skip
def test_it_is_recorded_whole_and_read_back(written, settings):
    text = with_objective(written)
    spec = parse_spec(text, origin="x")
    bare = {"maximize": None, "minimize": None, "loss_margin": 0.02, "at_most": {}, "at_least": {}}
    assert spec.settings()["objective"] == {**bare, **settings}
    again = Spec.from_settings(json.loads(json.dumps(spec.settings())), text)
    assert again == spec
    assert objective_of(again) == objective_of(spec)
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(locate(text, origin="x").data)


def test_what_the_first_versions_recorded_means_the_same():
    """They knew one name and a margin."""
    today = load_spec("quickstart")
    old = {"maximize": "feature_coverage", "loss_margin": 0.25}
    spec = Spec.from_settings({**today.settings(), "objective": old}, today.text)
    assert objective_of(spec) == Objective(
        (Goal("feature_coverage", MAXIMIZE),), (Limit("loss_ratio", 1.25, AT_MOST),)
    )
    written = "{maximize: feature_coverage, loss_margin: 0.25}"
    assert differences(spec, parse_spec(with_objective(written), origin="x")) == []


REFUSED = [
    (with_objective("{maximize: lossy}"), "maximize",
     f"maximize must be {ONE_OF}, found the text 'lossy'", "Did you mean loss?"),
    (with_objective("{minimize: [loss, speed]}"), "minimize",
     f"minimize must be {ONE_OF}, found [loss, speed]", "Write one of the names."),
    (with_objective("{minimize: 3}"), "minimize", f"minimize must be {ONE_OF}, found 3", "Write one"),
    (with_objective("{minimize: []}"), "minimize", f"minimize must be {ONE_OF}, found []", "Write one"),
    (with_objective("{minimize: [loss, loss]}"), "minimize",
     "minimize must be different names, found [loss, loss]", "Remove the repeated one."),
    (with_objective("{maximize: [loss, num_dead], minimize: [mean_bias, train_s]}"), "maximize",
     "objectives must be 3 at most, maximize and minimize together, found 4", "Drop some"),
    (with_objective("{maximize: [mean_bias, loss], minimize: loss}"), "minimize",
     "loss must be maximized or minimized, found both", "Remove it from one of them."),
    # limits
    (with_objective("{at_most: {num_neuron: 300}}"), "at_most.num_neuron",
     "objective.at_most must have only keys it knows, found num_neuron", "Did you mean num_neurons?"),
    (with_objective("{at_least: {feature_coverage: 30}}"), "at_least.feature_coverage",
     "feature_coverage must be in [0, 1], found 30", "Lower it."),
    (with_objective("{at_most: {num_dead: 1.5}}"), "at_most.num_dead",
     "num_dead must be a whole number from 0 to 65536, found 1.5", "Write a whole number."),
    (with_objective("{at_most: {loss: null}}"), "at_most.loss",
     "loss must be a number in [0, 1000000000], found nothing (null)", "Write a number."),
    (with_objective("{at_most: null}"), "at_most",
     "objective.at_most must be a mapping, found nothing (null)", "Write its keys below it"),
    (with_objective("{at_least: {mean_bias: 0}, at_most: {mean_bias: -1}}"), "at_least.mean_bias",
     "at_least.mean_bias must be at most at_most.mean_bias, which is -1, found 0", "Lower it"),
    (with_objective("{at_least: {loss_ratio: 1.5}}"), "at_least.loss_ratio",
     "at_least.loss_ratio must be at most 1 + loss_margin, which is 1.02, found 1.5", "Lower it"),
    (with_objective("{at_most: {loss_ratio: 1.1}, loss_margin: 0.1}"), "loss_margin",
     "loss_margin must be null beside at_most: {loss_ratio: 1.1}, which sets the same ceiling, found 0.1",
     "Write loss_margin: null, or drop at_most.loss_ratio."),
    (with_objective("{at_most: {loss_ratio: 1.1}}"), "loss_margin",
     "loss_margin must be null beside at_most: {loss_ratio: 1.1}, which sets the same ceiling, found 0.02, its default",
     "Write loss_margin: null"),
    (with_objective("{loss_margin: none}"), "loss_margin",
     "loss_margin must be null or a number in [0, 1], found the text 'none'", "Write null or a number."),
    # the width is known by the space
    (with_objective("{at_most: {num_neurons: 255}}"), "at_most.num_neurons",
     f"at_most.num_neurons {WIDTHS}: the search space's num_neurons go from 256 to 1024, found 255, which none of them keep", "Change it"),
    (with_objective("{at_most: {num_neurons: 1024}}"), "at_most.num_neurons",
     f"at_most.num_neurons {WIDTHS}: the search space's num_neurons go from 256 to 1024, found 1024, which all of them keep", "Change it"),
    (with_objective("{at_least: {num_neurons: 1025}}"), "at_least.num_neurons",
     f"at_least.num_neurons {WIDTHS}: the search space's num_neurons go from 256 to 1024, found 1025, which none of them keep", "Change it"),
    (with_objective("{at_least: {num_neurons: 256}}"), "at_least.num_neurons",
     f"at_least.num_neurons {WIDTHS}: the search space's num_neurons go from 256 to 1024, found 256, which all of them keep", "Change it"),
    (with_objective("{at_most: {num_neurons: 512}}", FIXED), "at_most.num_neurons",
     f"at_most.num_neurons {WIDTHS}: every network has 512 neurons, found 512, which all of them keep", "Remove it, or vary"),
    (with_objective("{minimize: num_neurons}", FIXED), "minimize",
     "num_neurons must vary in the search space to be an objective, found 512 in every network", "Vary it, such as num_neurons: {int: [256, 1024]}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "message", "advice"),
    REFUSED,
    ids=[f"{index}-{row[1]}" for index, row in enumerate(REFUSED)],
)
def test_a_refusal_says_what_must_hold_what_was_found_where_and_what_to_do(
    text, key, message, advice
):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, origin="x")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == (f"objective.{key}", LINE)
    assert problem.message.startswith(f"{message} (objective.{key}, line {LINE}). {advice}")


@pytest.mark.parametrize("width", [256.0, 700, 1023])
def test_a_limit_of_the_width_within_the_space_is_one(width):
    text = with_objective(f"{{at_most: {{num_neurons: {int(width)}}}}}")
    assert objective_of(parse_spec(text, origin="x")).limits[1].bound == width


@pytest.mark.parametrize(
    ("written", "must"),
    [
        ("{minimize: [loss, num_neurons]}", "must have one objective"),
        (
            "{minimize: train_s}",
            "must have an objective that is the same when it is measured again",
        ),
    ],
)
def test_early_stopping_needs_one_objective_that_repeats(written, must):
    with pytest.raises(SpecError, match=must) as caught:
        parse_spec(with_objective(written, STOPPED), origin="x")
    (problem,) = caught.value.problems
    assert problem.path == "early_stopping"
    assert "Write early_stopping: null" in problem.message
    parse_spec(with_objective(written), origin="x")


def test_a_sweep_always_has_a_baseline():
    baseline = ("baseline: {learning_rate: given, num_seeds: 4}", "baseline: null")
    with pytest.raises(SpecError) as caught:
        parse_spec(with_objective("{loss_margin: 0.02}", baseline), origin="x")
    (problem,) = caught.value.problems
    assert problem.message == (
        "baseline must be a mapping: every verdict is a comparison with it, found nothing (null) "
        "(baseline, line 26). Leave the key out for its defaults. To search without a ceiling on "
        "the loss write objective: {loss_margin: null}."
    )


def test_a_sweep_is_after_something():
    with pytest.raises(SpecError) as caught:
        parse_spec(with_objective("{minimize: null}"), origin="x")
    (problem,) = caught.value.problems
    assert problem.message == (
        "objective must maximize or minimize something, found nothing (objective, line 29). "
        "Write maximize: monosemantic_per_feature."
    )


def test_several_mistakes_are_told_at_once():
    written = "{maximize: lossy, at_most: {loss_ratio: 1.1, num_neurons: 9}}"
    with pytest.raises(SpecError) as caught:
        parse_spec(with_objective(written), origin="x")
    assert {problem.path for problem in caught.value.problems} >= {
        "objective.maximize",
        "objective.loss_margin",
    }


def test_every_number_that_is_reported_can_be_named():
    from service.columns import TRIALS_SCHEMA

    assert set(NUMBERS) - {"num_neurons"} < set(TRIALS_SCHEMA.names)
    for name in NUMBERS:
        spec = parse_spec(with_objective(f"{{maximize: {name}}}"), origin="x")
        assert objective_of(spec).first == Goal(name, MAXIMIZE)
