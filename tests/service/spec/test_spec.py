"""The sweep file as typed values: what it means, and every refusal with its words."""

# ruff: noqa: E501  a row of the tables reads better on its line

import json
import pickle
import subprocess
import sys
import time
from copy import deepcopy

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import NAMED_SPACES, Choice, Float, Int, Space
from service.errors import SpecError
from service.spec import (
    Spec,
    differences,
    json_schema,
    load_spec,
    packaged_sweeps,
    parse_spec,
)
from service.spec.sweep_file import locate
from service.spec.yaml_values import flow

QUICKSTART = """\
name: quickstart
task: {kind: feature_decoder, num_features: 256, num_inputs: 32, feature_density: 0.015625, feature_distribution: uniform}
model: {num_neurons: 512, nonlinearity: relu}
training: {num_steps: 8192, batch_size: 256, optimizer: lamb, schedule: cycling_cosine, learning_rate: 0.01,
           initial_bias: 0.0, bias_decay: 0.0, l1: 0.0, precision: auto}
search_space: bias_and_width        # a named space, or a mapping as below
baseline: {learning_rate: given, num_seeds: 4}        # or tuned
objective: {maximize: monosemantic_per_feature, loss_margin: 0.02}
search: {sampler: auto, num_trials: 16, replicates: 1, seed: 0}
early_stopping: null                # off; or a mapping with its settings
confirmation: {finalists: 2, num_seeds: 4}
compute: {cohort_size: auto, cpus: 1, gpus: 0, max_concurrent: auto}
"""
SMALLEST = """\
name: small
task: {kind: feature_decoder, num_features: 256, num_inputs: 32, feature_density: 0.015625}
model: {num_neurons: 512}
training: {num_steps: 8192, batch_size: 256, learning_rate: 0.01}
search_space: bias_and_width
objective: {}
search: {num_trials: 16}
"""
NAMED = "search_space: bias_and_width"


def edited(old: str, new: str) -> str:
    assert QUICKSTART.count(old) == 1, old
    return QUICKSTART.replace(old, new)


def with_space(*lines: str) -> str:
    return edited(NAMED, "\n  ".join(["search_space:", *lines]))


def refusal(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, origin="my.yaml")
    return caught.value


def test_the_packaged_sweeps_are_called_what_they_are_found_by():
    assert packaged_sweeps() == ("paper-size", "quickstart")
    assert [load_spec(name).name for name in packaged_sweeps()] == ["paper-size", "quickstart"]


def test_the_paper_size_enqueues_the_papers_recipe_at_five_learning_rates():
    """Bias decay 0.03 over 2**17 steps is 0.48 over 2**13: sixteen times as much on each."""
    spec = load_spec("paper-size")
    assert [point.pop("learning_rate") for point in map(dict, spec.search.enqueue)] == [
        0.003,
        0.007,
        0.01,
        0.02,
        0.03,
    ]
    recipe = {"initial_bias": -1.0, "bias_decay": 0.48, "num_neurons": 1024}
    assert all(recipe.items() <= point.items() for point in spec.search.enqueue)
    assert recipe["num_neurons"] == spec.model.num_neurons
    assert spec.training.num_steps * 16 == 2**17
    assert (spec.task.num_features, spec.task.num_inputs) == (512, 64)
    assert (spec.baseline.learning_rate, spec.early_stopping is None) == ("tuned", False)


def test_the_packaged_quick_start_says_what_the_documentation_says():
    text = edited("num_trials: 16", "num_trials: 20")
    text = text.replace("early_stopping: null", "early_stopping: auto")
    assert load_spec("quickstart") == parse_spec(text, origin="x")


def test_defaults_are_those_of_the_quick_start():
    small, whole = (parse_spec(text, origin="x") for text in (SMALLEST, QUICKSTART))
    assert differences(small, whole) == [
        "name: small -> quickstart",
        "early_stopping: auto -> null",
    ]


def test_a_spec_is_typed_frozen_and_keeps_its_text():
    spec = parse_spec(QUICKSTART, origin="x")
    assert spec.training.learning_rate == 0.01
    assert spec.early_stopping is None
    assert spec.stopping is None
    assert spec.text == QUICKSTART
    assert spec == parse_spec(QUICKSTART + "# more\n", origin="x")
    assert hash(spec) == hash(parse_spec(QUICKSTART + "# more\n", origin="x"))
    assert spec != parse_spec(edited("seed: 0", "seed: 1"), origin="x")
    copy = pickle.loads(pickle.dumps(spec))
    assert (copy, copy.text, copy.space) == (spec, spec.text, spec.space)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"
    with pytest.raises(ValueError, match="frozen"):
        spec.training.learning_rate = 0.5


@pytest.mark.parametrize(
    ("old", "new", "stops"),
    [
        ("seed: 0", "seed: 1", True),
        ("num_steps: 8192", "num_steps: 4096", True),
        ("num_steps: 8192", "num_steps: 4095", False),
        ("num_trials: 16", "num_trials: 8", True),
        ("num_trials: 16", "num_trials: 7", False),
        ("num_trials: 16", "num_trials: 5001", False),
        ("sampler: auto", "sampler: tpe", True),
        ("sampler: auto", "sampler: random", False),
        ("sampler: auto", "sampler: nsga2", False),
        ("cohort_size: auto", "cohort_size: 4", True),
        ("cohort_size: auto", "cohort_size: 3", False),
        ("loss_margin: 0.02", "minimize: num_neurons", False),
        ("maximize: monosemantic_per_feature", "minimize: loss", True),
        ("maximize: monosemantic_per_feature", "minimize: train_s", False),
    ],
)
def test_early_stopping_is_on_by_itself_where_it_is_known_to_help(old, new, stops):
    text = edited("early_stopping: null                # off; or a mapping with its settings\n", "")
    assert text.count(old) == 1
    spec = parse_spec(text.replace(old, new), origin="x")
    assert spec.early_stopping == "auto"
    assert (spec.stopping is not None) is stops
    assert Spec.from_settings(spec.settings(), spec.text) == spec


@pytest.mark.parametrize(
    ("written", "stopping"),
    [
        ("{}", ("auto", 4)),
        ("{first_step: 1}", (1, 4)),
        ("{first_step: 4096, reduction: 1024}", (4096, 1024)),
    ],
)
def test_early_stopping_has_two_settings(written, stopping):
    text = edited("early_stopping: null", f"early_stopping: {written}")
    spec = parse_spec(text, origin="x")
    assert (spec.early_stopping.first_step, spec.early_stopping.reduction) == stopping
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(locate(text, origin="x").data)
    assert Spec.from_settings(spec.settings(), text) == spec
    off = parse_spec(QUICKSTART, origin="x")
    assert differences(off, spec) == [
        f"early_stopping: null -> {{first_step: {stopping[0]}, reduction: {stopping[1]}}}"
    ]


def test_a_named_space_is_made_for_the_file():
    spec = parse_spec(QUICKSTART, origin="x")
    built = NAMED_SPACES["bias_and_width"].build(
        feature_density=0.015625, num_steps=8192, learning_rate=0.01, num_neurons=512
    )
    assert spec.space == built
    assert spec.space is spec.space


def test_a_mapping_is_a_space():
    spec = parse_spec(
        with_space(
            "nonlinearity: {choice: [relu, gelu]}",
            "num_neurons: {int: [256, 1024], step: 64}",
            "initial_bias: {float: [-1, 0.0]}",
            "learning_rate: {float: [1e-3, 1], log: true}",
            "bias_decay: 0.5",
            "l1: {float: [0, 0]}",
        ),
        origin="x",
    )
    assert spec.space == Space(
        {
            "initial_bias": Float(-1.0, 0.0),
            "bias_decay": 0.5,
            "learning_rate": Float(0.001, 1.0, log=True),
            "l1": Float(0.0, 0.0),
            "num_neurons": Int(256, 1024, step=64),
            "nonlinearity": Choice(("relu", "gelu")),
        }
    )
    assert spec.settings()["search_space"] == {
        "initial_bias": {"float": [-1.0, 0.0], "log": False},
        "bias_decay": 0.5,
        "learning_rate": {"float": [0.001, 1.0], "log": True},
        "l1": {"float": [0.0, 0.0], "log": False},
        "num_neurons": {"int": [256, 1024], "step": 64, "log": False},
        "nonlinearity": {"choice": ["relu", "gelu"]},
    }


# Whatever else looks odd and is right: a snippet in, a snippet out, where the value lands
ACCEPTED = [
    ("learning_rate: 0.01", "learning_rate: 1", "training", "learning_rate", 1.0),
    ("learning_rate: 0.01", "learning_rate: 1e-3", "training", "learning_rate", 0.001),
    ("initial_bias: 0.0", "initial_bias: -2", "training", "initial_bias", -2.0),
    ("cpus: 1", "cpus: 010", "compute", "cpus", 10),
    ("seed: 0", "seed: 0x10", "search", "seed", 16),
    ("gpus: 0", "gpus: 0.5", "compute", "gpus", 0.5),
    ("cohort_size: auto", "cohort_size: 8", "compute", "cohort_size", 8),
    ("loss_margin: 0.02", "loss_margin: 0", "objective", "loss_margin", 0.0),
    ("precision: auto", "precision: bfloat16", "training", "precision", "bfloat16"),
    ("num_inputs: 32", "num_inputs: 256", "task", "num_inputs", 256),
    ("replicates: 1", "replicates: 4", "search", "replicates", 4),
    ("finalists: 2", "finalists: 16", "confirmation", "finalists", 16),
]


def test_nothing_need_be_confirmed():
    spec = parse_spec(edited("{finalists: 2, num_seeds: 4}", "null"), origin="x")
    assert spec.confirmation is None
    assert spec.settings()["confirmation"] is None
    assert Spec.from_settings(json.loads(json.dumps(spec.settings())), spec.text) == spec


@pytest.mark.parametrize(("old", "new", "part", "key", "value"), ACCEPTED)
def test_odd_but_right(old, new, part, key, value):
    found = parse_spec(edited(old, new), origin="x").settings()[part][key]
    assert found == value
    assert type(found) is type(value)


def test_words_that_yaml_1_1_reads_otherwise_are_names():
    assert parse_spec(edited("name: quickstart", "name: off"), origin="x").name == "off"
    assert parse_spec(edited("name: quickstart", "name: '2024'"), origin="x").name == "2024"


WORD = (
    "must be a simple word: letters, digits, - and _, a letter or digit first, at most 64 of them"
)
SPACES = "must be one of bias_and_width, bias_width_and_rate, or a mapping of parameters to ranges"
FORMS = "must be a number, {float: [low, high]} or {choice: [...]}"
PULL = "bias_decay * learning_rate must be below 1"

# the file, the path, the line, the message without its place, the advice
REFUSED = [
    # keys
    (edited("name: quickstart\n", ""), "name", 1, "name must be given, found nothing", "Add `name: "),
    (edited(", num_inputs: 32", ""), "task.num_inputs", 2, "num_inputs must be given, found nothing",
     "Add `num_inputs: 32`, with a value of your own."),
    (edited("learning_rate: 0.01,", ""), "training.learning_rate", 4,
     "learning_rate must be given, found nothing", "Add `learning_rate: 0.01`"),
    (edited("num_trials: 16, ", ""), "search.num_trials", 9, "num_trials must be given", "Add"),
    (edited(NAMED, ""), "search_space", 1, "search_space must be given, found nothing",
     "Add `search_space: bias_and_width`"),
    (edited("seed: 0", "seed: 0, replicate: 2"), "search.replicate", 9,
     "search must have only keys it knows, found replicate", "Did you mean replicates?"),
    (edited("seed: 0", "seed: 0, zzz: 2"), "search.zzz", 9,
     "search must have only keys it knows, found zzz",
     "Remove it; the keys are sampler, num_trials, max_training_steps, max_hours, patience,"),
    (QUICKSTART + "Compute: 3\n", "Compute", 13,
     "a sweep file must have only keys it knows, found Compute", "Did you mean compute?"),
    (QUICKSTART + "n\u0430me: x\n", "'n\\u0430me'", 13,
     "a sweep file must have only keys it knows, found 'n\\u0430me'", "Did you mean name?"),
    (edited("seed: 0", "seed: 0, true: 1"), "search.true", 9, "found true", "Remove it"),
    (edited("seed: 0", "seed: 0, seed: 0"), "search.seed", 9,
     "seed must be given once, found it again after line 9", "Remove one of them."),
    (edited("model: {num_neurons: 512, nonlinearity: relu}", "model: 512"), "model", 3,
     "model must be a mapping, found 512", "Write its keys below it, such as `num_neurons: ...`."),
    (edited("{finalists: 2, num_seeds: 4}", "4"), "confirmation", 11,
     "confirmation must be null or a mapping, found 4", "Write its keys below it"),
    # names
    (edited("name: quickstart", "name: a/b"), "name", 1, f"name {WORD}, found the text 'a/b'", "Write"),
    (edited("name: quickstart", "name: ../up"), "name", 1, "found the text '../up'", "Write"),
    (edited("name: quickstart", 'name: "a\\n"'), "name", 1, "found the text 'a\\n'", "Write"),
    (edited("name: quickstart", "name: -a"), "name", 1, "found the text '-a'", "Write"),
    (edited("name: quickstart", f"name: {'a' * 65}"), "name", 1, "found the text 'aaaa", "Write"),
    (edited("name: quickstart", "name: caf\u00e9"), "name", 1, "found the text 'caf\\xe9'", "Write"),
    (edited("name: quickstart", "name: ''"), "name", 1, "found the text ''", "Write"),
    (edited("name: quickstart", "name: 2024"), "name", 1, f"name {WORD}, found 2024",
     "Write such a word, in quotes if it is a number."),
    # choices
    (edited("nonlinearity: relu", "nonlinearity: gulu"), "model.nonlinearity", 3,
     "nonlinearity must be one of relu, gelu, solu, found the text 'gulu'", "Did you mean"),
    (edited("optimizer: lamb", "optimizer: rmsprop"), "training.optimizer", 4,
     "optimizer must be", "Write one of the names."),
    (edited("kind: feature_decoder", "kind: decoder"), "task.kind", 2, "kind must be",
     "Did you mean feature_decoder?"),
    (edited("sampler: auto", "sampler: cmaes"), "search.sampler", 9,
     "sampler must be one of auto, tpe, gp, nsga2, random, quasi_random, grid, "
     "found the text 'cmaes'", "Write one of the names."),
    (edited("precision: auto", "precision: float16"), "training.precision", 5,
     "precision must be one of auto, float32, bfloat16, found the text 'float16'", "Did you mean"),
    (edited("learning_rate: given", "learning_rate: 0.1"), "baseline.learning_rate", 7,
     "learning_rate must be one of given, tuned, found 0.1", "Write one of the names."),
    # types
    (edited("learning_rate: 0.01", 'learning_rate: "0.01"'), "training.learning_rate", 4,
     "learning_rate must be a number in (0, 1], found the text '0.01'", "Write it without quotes."),
    (edited("learning_rate: 0.01", "learning_rate: true"), "training.learning_rate", 4,
     "learning_rate must be a number in (0, 1], found true", "Write a number."),
    (edited("learning_rate: 0.01", "learning_rate: [0.01]"), "training.learning_rate", 4,
     "learning_rate must be a number in (0, 1], found [0.01]", "Write a number."),
    (edited("seed: 0", "seed: false"), "search.seed", 9, "found false", "Write a whole number."),
    (edited("num_trials: 16", "num_trials: 16.0"), "search.num_trials", 9,
     "num_trials must be a whole number from 1 to 1000000, found 16.0", "Write a whole number."),
    (edited("num_steps: 8192", "num_steps: 1e4"), "training.num_steps", 4, "found 10000.0", "Write"),
    (edited("cohort_size: auto", "cohort_size: aut"), "compute.cohort_size", 12,
     "cohort_size must be auto or a whole number from 1 to 65536, found the text 'aut'",
     "Write auto or a whole number."),
    # numbers
    (edited("learning_rate: 0.01", "learning_rate: 3.0"), "training.learning_rate", 4,
     "learning_rate must be in (0, 1], found 3.0", "Lower it."),
    (edited("learning_rate: 0.01", "learning_rate: 0"), "training.learning_rate", 4,
     "learning_rate must be in (0, 1], found 0", "Raise it."),
    (edited("learning_rate: 0.01", "learning_rate: .nan"), "training.learning_rate", 4,
     "A number must be finite, found .nan", "Write a finite one."),
    (edited("l1: 0.0", "l1: .inf"), "training.l1", 5, "A number must be finite, found .inf", "Write"),
    (edited("l1: 0.0", "l1: 1e999"), "training.l1", 5, "must be finite, found 1e999", "Write"),
    (edited("l1: 0.0", "l1: -1e-9"), "training.l1", 5, "l1 must be in [0, ", "Raise it."),
    (edited("initial_bias: 0.0", "initial_bias: -101"), "training.initial_bias", 5,
     "initial_bias must be in [-100, 100], found -101", "Raise it."),
    (edited("feature_density: 0.015625", "feature_density: 0.0"), "task.feature_density", 2,
     "feature_density must be in (0, 1], found 0.0", "Raise it."),
    (edited("feature_density: 0.015625", "feature_density: 1.01"), "task.feature_density", 2,
     "feature_density must be in (0, 1], found 1.01", "Lower it."),
    (edited("num_features: 256", "num_features: 65537"), "task.num_features", 2, "65537", "Lower it."),
    (edited("num_neurons: 512", "num_neurons: 0"), "model.num_neurons", 3,
     "num_neurons must be from 1 to 65536, found 0", "Raise it."),
    (edited("num_steps: 8192", "num_steps: 16777217"), "training.num_steps", 4, "16777217", "Lower"),
    (edited("batch_size: 256", "batch_size: 0"), "training.batch_size", 4,
     "batch_size must be from 1 to 1048576, found 0", "Raise it."),
    (edited("num_trials: 16", "num_trials: 0"), "search.num_trials", 9, "found 0", "Raise it."),
    (edited("seed: 0", "seed: -1"), "search.seed", 9, "seed must be from 0 to", "Raise it."),
    (edited("loss_margin: 0.02", "loss_margin: -0.02"), "objective.loss_margin", 8,
     "loss_margin must be in [0, 1], found -0.02", "Raise it: 0.02 means 2%."),
    (edited("loss_margin: 0.02", "loss_margin: 2"), "objective.loss_margin", 8,
     "loss_margin must be in [0, 1], found 2", "Lower it: 0.02 means 2%."),
    (edited("given, num_seeds: 4", "given, num_seeds: 1"), "baseline.num_seeds", 7,
     "num_seeds must be from 2 to 1024, found 1", "Raise it."),
    (edited("finalists: 2, num_seeds: 4", "finalists: 2, num_seeds: 1"), "confirmation.num_seeds", 11,
     "num_seeds must be from 2 to 1024, found 1", "Raise it."),
    (edited("cpus: 1", "cpus: 0"), "compute.cpus", 12, "cpus must be from 1", "Raise it."),
    (edited("gpus: 0", "gpus: -1"), "compute.gpus", 12, "gpus must be in [0, 64]", "Raise it."),
    (edited("gpus: 0", "gpus: 1.5"), "compute.gpus", 12,
     "gpus must be a share of one GPU or a whole number of them, found 1.5", "Round it."),
    (edited("max_concurrent: auto", "max_concurrent: 0"), "compute.max_concurrent", 12,
     "max_concurrent must be auto or from 1 to 65536, found 0", "Raise it."),
    (edited("early_stopping: null", "early_stopping: {rungs: 3}"), "early_stopping.rungs", 10,
     "early_stopping must have only keys it knows, found rungs",
     "Remove it; the keys are first_step, reduction."),
    (edited("early_stopping: null", "early_stopping: {reducton: 4}"), "early_stopping.reducton", 10,
     "found reducton", "Did you mean reduction?"),
    (edited("early_stopping: null", "early_stopping: off"), "early_stopping", 10,
     "early_stopping must be auto, null, or a mapping that says when, found the text 'off'",
     "Write auto or null, or its keys below it, such as `first_step: ...`."),
    (edited("early_stopping: null", "early_stopping: 1024"), "early_stopping", 10,
     "early_stopping must be auto, null, or a mapping that says when, found 1024",
     "Write auto or null, or its keys below it, such as `first_step: ...`."),
    (edited("early_stopping: null", "early_stopping: {first_step: 1000}"), "early_stopping.first_step", 10,
     "first_step must be auto or a power of two from 1 to 8388608, found 1000", "Write 512 or 1024."),
    (edited("early_stopping: null", "early_stopping: {first_step: 0}"), "early_stopping.first_step", 10,
     "first_step must be auto or a power of two from 1", "Write 1."),
    (edited("early_stopping: null", "early_stopping: {first_step: '64'}"), "early_stopping.first_step", 10,
     "found the text '64'", "Write one, without quotes."),
    (edited("early_stopping: null", "early_stopping: {first_step: true}"), "early_stopping.first_step", 10,
     "found true", "Write one"),
    (edited("early_stopping: null", "early_stopping: {reduction: 3}"), "early_stopping.reduction", 10,
     "reduction must be a power of two from 2 to 1024, found 3", "Write 2 or 4."),
    (edited("early_stopping: null", "early_stopping: {reduction: 1}"), "early_stopping.reduction", 10,
     "reduction must be a power of two from 2 to 1024, found 1", "Write 2."),
    # keys that do not go together
    (edited("early_stopping: null", "early_stopping: {first_step: 8192}"), "early_stopping.first_step", 10,
     "first_step must be below training.num_steps, which is 8192, found 8192",
     "Write first_step: 4096 or a smaller power of two, or early_stopping: null."),
    (edited("early_stopping: null", "early_stopping: {first_step: 1024}").replace("num_steps: 8192", "num_steps: 1000"),
     "early_stopping.first_step", 10,
     "first_step must be below training.num_steps, which is 1000, found 1024",
     "Write first_step: 512 or a smaller"),
    (edited("early_stopping: null", "early_stopping: {first_step: 1}").replace("num_steps: 8192", "num_steps: 1"),
     "early_stopping.first_step", 10, "found 1", "Write early_stopping: null."),
    (edited("early_stopping: null", "early_stopping: {}").replace("cohort_size: auto", "cohort_size: 1"),
     "compute.cohort_size", 12,
     "cohort_size must be at least 2 for early stopping, which compares trials of a cohort, found 1",
     "Raise it, or write early_stopping: null."),
    (edited("num_inputs: 32", "num_inputs: 257"), "task.num_inputs", 2,
     "num_inputs must be at most task.num_features, which is 256, found 257",
     "Write num_inputs: 256 or fewer, or raise num_features."),
    (edited("replicates: 1", "replicates: 5"), "baseline.num_seeds", 7,
     "num_seeds must be at least search.replicates, which is 5, found 4",
     "Write num_seeds: 5 or more, or lower replicates."),
    (SMALLEST.replace("num_trials: 16", "num_trials: 16, replicates: 5"), "baseline.num_seeds", 7,
     "num_seeds must be at least search.replicates, which is 5, found 4, its default", "Write"),
    (edited("seed: 0", "max_training_steps: 0"), "search.max_training_steps", 9,
     "max_training_steps must be from 1 to ", "Raise it."),
    (edited("seed: 0", "max_training_steps: 8191"), "search.max_training_steps", 9,
     "max_training_steps must be at least training.num_steps * search.replicates, which is 8192, one "
     "trial, found 8191", "Raise it, or write max_training_steps: null."),
    (edited("seed: 0", "max_training_steps: 1e6"), "search.max_training_steps", 9,
     "max_training_steps must be null or a whole number from 1 to", "Write null or a whole number."),
    (edited("seed: 0", "max_hours: 0"), "search.max_hours", 9,
     "max_hours must be in (0, 8760], found 0", "Raise it."),
    (edited("seed: 0", "max_hours: -1.5"), "search.max_hours", 9,
     "max_hours must be in (0, 8760], found -1.5", "Raise it."),
    (edited("seed: 0", "max_hours: two"), "search.max_hours", 9,
     "max_hours must be null or a number in (0, 8760], found the text 'two'",
     "Write null or a number."),
    (edited("seed: 0", "patience: 0"), "search.patience", 9,
     "patience must be from 1 to 1000000, found 0", "Raise it."),
    (edited("seed: 0", "patience: -1"), "search.patience", 9,
     "patience must be from 1 to 1000000, found -1", "Raise it."),
    (edited("seed: 0", "patience: 17"), "search.patience", 9,
     "patience must be at most num_trials, which is 16, since with more it never ends the search, "
     "found 17", "Lower it, or write patience: null."),
    (edited("finalists: 2", "finalists: 17"), "confirmation.finalists", 11,
     "finalists must be at most search.num_trials, which is 16, found 17", "Write finalists: 16"),
    (edited(NAMED, "search_space: bias_width_and_rate"), "search_space", 6,
     "bias_width_and_rate must have a baseline whose learning rate is tuned too, "
     "found baseline.learning_rate: given",
     "Write baseline: {learning_rate: tuned}, or take bias_and_width."),
    (edited("bias_decay: 0.0", "bias_decay: 100"), "training.bias_decay", 5,
     f"{PULL}, found 100 * 0.01 = 1", "Lower one of them."),
    (with_space("bias_decay: {float: [0, 200]}"), "search_space.bias_decay", 7,
     f"{PULL}, also at the top of their ranges, found 200 * 0.01 = 2", "Lower one of them."),
    (with_space("learning_rate: {choice: [0.1, 0.5]}", "bias_decay: 2"), "search_space.bias_decay", 8,
     "found 2 * 0.5 = 1", "Lower one of them."),
    (edited("num_neurons: 512", "num_neurons: 40000"), "model.num_neurons", 3,
     "num_neurons must be low enough for bias_and_width to stay within 65536, "
     "found a range that ends at 80000", "Lower num_neurons or write the ranges out."),
    # search spaces
    (edited(NAMED, "search_space: bias_and_with"), "search_space", 6,
     f"search_space {SPACES}, found the text 'bias_and_with'", "Did you mean bias_and_width?"),
    (edited(NAMED, "search_space:"), "search_space", 6,
     f"search_space {SPACES}, found nothing (null)", "Write bias_and_width to begin with."),
    (edited(NAMED, "search_space: {}"), "search_space", 6,
     "search_space must be a mapping that names a parameter, found {}", "Name one, such as"),
    (with_space("initial_bia: 0"), "search_space.initial_bia", 7,
     "search_space must have only keys it knows, found initial_bia", "Did you mean initial_bias?"),
    (with_space("initial_bias: {float: [0.5, -0.5]}"), "search_space.initial_bias", 7,
     "initial_bias must be a range whose low end is at most its high end, found {float: [0.5, -0.5]}",
     "Swap the two ends."),
    (with_space("learning_rate: {float: [0.001, 3.0], log: true}"), "search_space.learning_rate", 7,
     "learning_rate must be in (0, 1], found 3.0", "Narrow the range."),
    (with_space("l1: {float: [0, 1], log: true}"), "search_space.l1", 7,
     "l1 must be a range above 0 where log is true", "Raise the low end or drop log."),
    (with_space("l1: {float: [0, 1], log: 1}"), "search_space.l1.log", 7,
     "log must be true or false, found 1", "Write true or false."),
    (with_space("l1: {float: [0, 1], lgo: true}"), "search_space.l1.lgo", 7,
     "search_space.l1 must have only keys it knows, found lgo", "Did you mean log?"),
    (with_space("l1: {float: [0]}"), "search_space.l1", 7,
     "l1 must be two numbers, [low, high], found [0]", "Write both ends of the range."),
    (with_space("l1: {float: ['0', 1]}"), "search_space.l1", 7,
     "found the text '0'", "Write it without quotes."),
    (with_space("l1: {low: 0, high: 1}"), "search_space.l1", 7,
     f"l1 {FORMS}, found {{low: 0, high: 1}}", "Write one of these forms."),
    (with_space("l1: {float: [0, 1], choice: [0, 1]}"), "search_space.l1", 7, f"l1 {FORMS}", "Write"),
    (with_space("l1: {int: [0, 1]}"), "search_space.l1", 7, f"l1 {FORMS}", "Write one of these"),
    (with_space("l1: [0, 1]"), "search_space.l1", 7, f"l1 {FORMS}, found [0, 1]", "Write one"),
    (with_space("l1: null"), "search_space.l1", 7, f"l1 {FORMS}, found nothing (null)", "Write one"),
    (with_space("l1: true"), "search_space.l1", 7, "l1 must be a number in", "Write a number."),
    (with_space("l1: {float: [0, .nan]}"), "search_space.l1.float[1]", 7,
     "A number must be finite, found .nan", "Write a finite one."),
    (with_space("num_neurons: {int: [256, 1024.0]}"), "search_space.num_neurons", 7,
     "num_neurons must be a whole number from 1 to 65536, found 1024.0", "Write a whole number."),
    (with_space("num_neurons: {float: [256, 1024]}"), "search_space.num_neurons", 7,
     "num_neurons must be a whole number, {int: [low, high]} or {choice: [...]}", "Write one of"),
    (with_space("num_neurons: {int: [256, 1024], step: 0}"), "search_space.num_neurons.step", 7,
     "step must be from 1 to 65536, found 0", "Raise it."),
    (with_space("num_neurons: {int: [256, 1024], step: 2, log: true}"), "search_space.num_neurons", 7,
     "num_neurons must be without a step where log is true", "Drop log or step."),
    (with_space("num_neurons: {int: [16, 64], step: 17}"), "search_space.num_neurons", 7,
     "num_neurons must be a range that ends on a step, since 64 would never be tried",
     "Write [16, 50] or [16, 67] or another step."),
    (with_space("num_neurons: {int: [16, 65536], step: 60000}"), "search_space.num_neurons", 7,
     "since 65536 would never be tried", "Write [16, 60016] or another step."),
    (with_space("num_neurons: {int: [16, 64], step: 100}"), "search_space.num_neurons", 7,
     "since 64 would never be tried", "Write [16, 116] or another step."),
    (with_space("nonlinearity: {choice: [relu,", "  gellu]}"), "search_space.nonlinearity", 8,
     "nonlinearity must be one of relu, gelu, solu, found the text 'gellu'", "Did you mean gelu?"),
    (with_space("nonlinearity: {choice: []}"), "search_space.nonlinearity", 7,
     "nonlinearity must be a list of 1 to 1024 options, found []", "Write the options"),
    (with_space("l1: {choice: [1, 1.0]}"), "search_space.l1", 7,
     "l1 must be a choice of different options", "Remove the repeated one."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "line", "message", "advice"),
    REFUSED,
    ids=[f"{index}-{row[1]}" for index, row in enumerate(REFUSED)],
)
def test_a_refusal_says_what_must_hold_what_was_found_where_and_what_to_do(
    text, path, line, message, advice
):
    (problem,) = [found for found in refusal(text).problems if found.path == path]
    assert problem.line == line
    statement, place, remedy = problem.message.partition(f" ({path}, line {line}). ")
    assert message in statement
    assert place
    assert remedy.startswith(advice)


def test_a_single_problem_is_one_line_that_names_the_file():
    error = refusal(edited("learning_rate: 0.01", "learning_rate: 3.0"))
    assert str(error) == (
        "my.yaml: learning_rate must be in (0, 1], found 3.0 (training.learning_rate, line 4). "
        "Lower it."
    )
    assert error.exit_code == 2


def test_all_problems_are_reported_by_line():
    text = edited("num_inputs: 32", "num_inputs: 300")
    text = text.replace("seed: 0", "sed: 0")
    text = text.replace("loss_margin: 0.02", "loss_margin: -1")
    text = text.replace("replicates: 1", "replicates: 5")
    text = text.replace("gpus: 0", "gpus: !!int 0")
    error = refusal(text)
    assert [(problem.path, problem.line) for problem in error.problems] == [
        ("task.num_inputs", 2),
        ("baseline.num_seeds", 7),
        ("objective.loss_margin", 8),
        ("search.sed", 9),
        ("compute.gpus", 12),
    ]
    assert str(error).splitlines()[0] == "my.yaml: 5 problems"
    assert str(error).splitlines()[1] == f"  - {error.problems[0].message}"


def test_what_is_refused_already_starts_no_second_complaint():
    # num_seeds cannot be read, so whether it is at least replicates is not known
    text = edited("given, num_seeds: 4", "given, num_seeds: '8'").replace(
        "replicates: 1", "replicates: 6"
    )
    assert [problem.path for problem in refusal(text).problems] == ["baseline.num_seeds"]
    assert len(refusal(edited("learning_rate: 0.01", "learning_rate: .nan")).problems) == 1
    assert len(refusal(edited("learning_rate: 0.01", "learning_rate: &a -1")).problems) == 1


def test_a_long_list_of_problems_is_cut_for_people_and_kept_for_programs():
    error = refusal("\n".join(f"k{number}: 1" for number in range(100)))
    assert len(error.problems) == 107  # seven keys are required
    assert str(error).endswith("and 87 more")


def test_a_learning_rate_that_a_named_space_would_raise_too_far():
    text = edited("learning_rate: 0.01", "learning_rate: 0.5").replace(
        NAMED, "search_space: bias_width_and_rate"
    )
    (problem,) = refusal(text.replace("given", "tuned")).problems
    assert "learning_rate must be low enough for bias_width_and_rate to stay within 1" in (
        problem.message
    )
    assert problem.line == 4


def test_ranges_that_a_named_space_cannot_have():
    text = edited("learning_rate: 0.01", "learning_rate: 5e-324").replace(
        NAMED, "search_space: bias_width_and_rate"
    )
    (problem,) = refusal(text.replace("given", "tuned")).problems
    assert "search_space must have ranges that hold numbers, found for bias_width_and_rate" in (
        problem.message
    )


def test_a_missing_file_is_answered_with_the_packaged_sweeps(tmp_path):
    with pytest.raises(
        SpecError, match=r"\(paper-size, quickstart\), found neither \(quikstart\)\. Did you mean"
    ):
        load_spec("quikstart")
    with pytest.raises(SpecError, match=r"found neither \(.*none\.yaml\)\. Check the path\."):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="found a folder"):
        load_spec(tmp_path)


def test_a_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(SMALLEST)
    assert load_spec(path) == load_spec(str(path)) == parse_spec(SMALLEST, origin="x")
    path.write_text("")
    with pytest.raises(
        SpecError, match=rf"^{path}: A sweep file must say something, found nothing"
    ):
        load_spec(path)


def test_a_sweep_can_go_by_another_name():
    spec = parse_spec(QUICKSTART, origin="x")
    other = spec.with_name("other")
    assert differences(spec, other) == ["name: quickstart -> other"]
    assert (other.text, spec.name) == (QUICKSTART, "quickstart")
    for name in ("a/b", "", "a\n", "-x"):
        with pytest.raises(SpecError, match="A sweep's name must be a simple word"):
            spec.with_name(name)


def test_differences_are_a_line_for_each_key():
    old = parse_spec(with_space("initial_bias: {float: [-1, 0]}", "l1: 0"), origin="x")
    new = parse_spec(
        with_space("initial_bias: {float: [-2, 0]}", "num_neurons: 64").replace("16,", "32,"),
        origin="x",
    )
    assert differences(old, old) == []
    assert differences(old.settings(), new) == [
        "search_space.initial_bias: {float: [-1.0, 0.0], log: false} -> "
        "{float: [-2.0, 0.0], log: false}",
        "search_space.l1: 0.0 -> not given",
        "search_space.num_neurons: not given -> 64",
        "search.num_trials: 16 -> 32",
    ]
    assert differences(new, parse_spec(QUICKSTART, origin="x").settings())[0].endswith(
        "-> bias_and_width"
    )


# JSON Schema


def test_the_schema_is_valid_and_describes_every_key():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"]
    json.dumps(schema, allow_nan=False)
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            if "$ref" in value:  # a description that the part itself has is not said twice
                value = {**schema["$defs"][value["$ref"].rpartition("/")[2]], **value}  # noqa: PLW2901
            assert value.get("description", "").endswith("."), key


SCHEMA_REFUSES = [
    {"unknown": 1},
    {"name": "a/b"},
    {"search_space": {}},
    {"search_space": {"momentum": 1}},
    {"search_space": {"l1": None}},
    {"search_space": {"learning_rate": {"float": [0.1, 2]}}},
    {"search_space": {"learning_rate": {"float": [0.1]}}},
    {"search_space": {"num_neurons": {"int": [1, 2], "steps": 3}}},
    {"search_space": {"nonlinearity": {"choice": []}}},
    {"search_space": "bias"},
    {"early_stopping": {"first_step": 1000}},
    {"early_stopping": {"reduction": 3}},
    {"early_stopping": {"rungs": 3}},
    {"early_stopping": 1024},
    {"model": {"num_neurons": 0}},
    {"compute": {"cohort_size": "aut"}},
    {"training": {}},
]


def test_a_sweep_that_was_recorded_with_a_range_between_steps_goes_on():
    settings = parse_spec(
        with_space("num_neurons: {int: [16, 67], step: 17}"), origin="x"
    ).settings()
    settings["search_space"]["num_neurons"]["int"] = [16, 64]
    assert Spec.from_settings(settings, "").space["num_neurons"] == Int(16, 64, step=17)


@pytest.mark.parametrize("change", SCHEMA_REFUSES, ids=str)
def test_the_schema_refuses_what_the_program_refuses(change):
    validator = jsonschema.Draft202012Validator(json_schema())
    data = locate(QUICKSTART, origin="x").data
    assert validator.is_valid(data)
    assert not validator.is_valid({**data, **change})
    refusal(flow({**data, **change}))


def test_the_schema_accepts_a_mapping_and_whatever_has_defaults():
    validator = jsonschema.Draft202012Validator(json_schema())
    mapping = with_space(
        "initial_bias: {float: [-1.0, 0.0]}",
        "num_neurons: {int: [256, 1024], step: 64}",
        "nonlinearity: {choice: [relu, gelu]}",
        "bias_decay: 3.0",
    )
    for text in (SMALLEST, mapping):
        assert validator.is_valid(locate(text, origin="x").data)
        assert validator.is_valid(parse_spec(text, origin="x").settings())


# laws

RATES = st.floats(1e-6, 1, allow_subnormal=False)
FLOAT_ENTRY = (
    st.builds(lambda a, b, log: {"float": sorted([a, b]), "log": log}, RATES, RATES, st.booleans())
    | st.lists(RATES, min_size=1, max_size=4, unique=True).map(lambda values: {"choice": values})
    | RATES
)
WIDTHS = st.integers(1, 2**16)
INT_ENTRY = st.builds(
    lambda low, step, count: {"int": [low, low + step * count], "step": step},
    st.integers(1, 2**8),
    st.integers(1, 2**8),
    st.integers(0, 2**7),
)
SPACE = st.just("bias_and_width") | st.fixed_dictionaries(
    {"initial_bias": FLOAT_ENTRY},
    optional={
        "learning_rate": FLOAT_ENTRY,
        "l1": FLOAT_ENTRY,
        "num_neurons": INT_ENTRY | WIDTHS,
        "nonlinearity": st.sampled_from(["relu", "gelu", "solu", {"choice": ["relu", "solu"]}]),
    },
)


@settings(deadline=None)
@given(
    space=SPACE,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    rate=RATES,
    seed=st.integers(0, 2**32 - 1),
    margin=st.floats(0, 1),
)
def test_settings_written_and_read_again_are_equal(space, name, rate, seed, margin):
    data = locate(QUICKSTART, origin="x").data
    data.update(name=name, search_space=space)
    data["training"]["learning_rate"] = rate
    data["search"]["seed"] = seed
    data["objective"]["loss_margin"] = margin
    spec = parse_spec(flow(data), origin="x")
    again = parse_spec(flow(spec.settings()), origin="x")
    through_json = parse_spec(flow(json.loads(json.dumps(spec.settings()))), origin="x")
    assert again == spec == through_json
    assert again.space == spec.space
    assert differences(spec, again) == []


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_spec_or_a_spec_error(text):
    with pytest.raises(SpecError):
        parse_spec(text, origin="x")


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["auto", "tuned", "relu", 1, 2, 0.5, {}, [], [1, 2], {"float": [0, 1]}])
)
VALUES = LEAVES | st.lists(LEAVES, max_size=3)
WORDS = st.sampled_from(
    ["name", "num_seeds", "l1", "initial_bias", "num_neurons", "float", "int", "choice", "log", "x"]
)
NESTED = VALUES | st.dictionaries(WORDS, VALUES | st.dictionaries(WORDS, VALUES, max_size=3))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_mutated_file_is_a_spec_or_a_spec_error(data):
    content = locate(QUICKSTART, origin="x").data
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(sorted(content) or ["name"]))
        holder = content
        if isinstance(content.get(part), dict) and content[part] and data.draw(st.booleans()):
            holder = content[part]
            part = data.draw(st.sampled_from(sorted(holder)))
        if data.draw(st.booleans()):
            holder[part] = deepcopy(data.draw(NESTED))
        else:
            holder.pop(part, None)
    try:
        spec = parse_spec(flow(content), origin="x")
    except SpecError as error:
        assert error.problems
        assert all(problem.line >= 1 for problem in error.problems)
        str(error).encode("ascii")
    else:
        assert isinstance(spec, Spec)
        assert parse_spec(flow(spec.settings()), origin="x") == spec


SLOW = {
    "unknown keys": "\n".join(f"k{number}: 1" for number in range(5500)),
    "unknown parameters": "search_space:\n" + "\n".join(f" k{n}: 1" for n in range(5000)),
    "not finite": "a: [" + ".nan," * 13_000 + "]",
    "duplicates": "a: 1\n" * 13_000,
    "brackets": "a: [" + "[[[[[[[[[[[]]]]]]]]]]]," * 2_800 + "]",
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_no_file_keeps_the_reader_for_long(text):
    start = time.perf_counter()
    refusal(text)
    assert time.perf_counter() - start < 10  # about one second on an idle core


def test_reading_a_spec_imports_none_of_the_large_libraries():
    code = (
        "import sys; from service.spec import load_spec, json_schema; load_spec('quickstart').space;"
        "json_schema();"
        "print([m for m in ('torch','numpy','ray','optuna','mlflow','pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
