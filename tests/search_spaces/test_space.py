import subprocess
import sys

import pytest

from search_spaces import Choice, Float, Int, Space

SPACE = Space(
    {
        "nonlinearity": Choice(("relu", "gelu")),
        "bias_decay": 3.0,
        "initial_bias": Float(-1.0, 0.0),
        "num_neurons": Int(512, 512),
        "optimizer": Choice(("lamb",)),
    }
)


def test_varied_and_fixed_part_the_space_in_order():
    assert list(SPACE) == [
        "nonlinearity",
        "bias_decay",
        "initial_bias",
        "num_neurons",
        "optimizer",
    ]
    assert SPACE.varied == {
        "nonlinearity": Choice(("relu", "gelu")),
        "initial_bias": Float(-1.0, 0.0),
    }
    assert list(SPACE.varied) == ["nonlinearity", "initial_bias"]
    assert SPACE.fixed == {"bias_decay": 3.0, "num_neurons": 512, "optimizer": "lamb"}
    assert len(SPACE) == 5
    assert SPACE["bias_decay"] == 3.0


def test_settings_merge_chosen_and_fixed_in_order():
    settings = SPACE.settings({"initial_bias": -0.25, "nonlinearity": "gelu"})
    assert list(settings.items()) == [
        ("nonlinearity", "gelu"),
        ("bias_decay", 3.0),
        ("initial_bias", -0.25),
        ("num_neurons", 512),
        ("optimizer", "lamb"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nonlinearity": "relu"}, "found none for initial_bias"),
        (
            {"nonlinearity": "relu", "initial_bias": 0.5},
            "initial_bias must lie in Float.*found 0.5",
        ),
        ({"nonlinearity": "relu", "initial_bias": 0, "bias_decay": 1.0}, "found 'bias_decay'"),
        ({"nonlinearity": "relu", "initial_bias": 0, "lr": 1.0}, "found 'lr'"),
    ],
)
def test_settings_refuse_what_is_not_asked_for(values, message):
    with pytest.raises(ValueError, match=message):
        SPACE.settings(values)


def test_a_space_is_frozen_and_compares_by_content():
    entries = {"bias_decay": 3.0}
    space = Space(entries)
    entries["bias_decay"] = 4.0
    assert space == Space({"bias_decay": 3.0})
    assert hash(space) == hash(Space({"bias_decay": 3.0}))
    with pytest.raises(TypeError):
        space["bias_decay"] = 5.0


def test_fixed_values_must_be_words_or_finite_numbers():
    with pytest.raises(ValueError, match="bias_decay must be a word or a finite number"):
        Space({"bias_decay": float("nan")})


def test_nothing_heavy_is_imported():
    code = "import sys, search_spaces; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, ("relu",)),
        ({"nonlinearity": "gelu"}, ("gelu",)),
        ({"nonlinearity": Choice(("solu", "relu"))}, ("solu", "relu")),
    ],
)
def test_options_are_the_words_that_a_setting_may_be(entry, words):
    space = Space({"initial_bias": Float(-1.0, 0.0), **entry})
    assert space.options("nonlinearity", "relu") == words
