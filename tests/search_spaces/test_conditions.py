import pytest

from search_spaces import Choice, Float, Int, Space

SPACE = Space(
    {
        "l1": Float(0.0, 1.0),
        "initial_bias": Choice((-0.5,)),
        "nonlinearity": Choice(("relu", "gelu", "solu")),
        "num_neurons": Int(32, 128, step=32),
    },
    {
        "l1": {"nonlinearity": ("gelu", "solu"), "num_neurons": (64, 128)},
        "initial_bias": {"nonlinearity": ("relu",)},
    },
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"nonlinearity": "gelu", "num_neurons": 64, "l1": 0.5},
            {"l1": 0.5, "nonlinearity": "gelu", "num_neurons": 64},
        ),
        # every name of a condition must have one of its values
        (
            {"nonlinearity": "gelu", "num_neurons": 32},
            {"nonlinearity": "gelu", "num_neurons": 32},
        ),
        # a single value with a condition is there only where it holds
        (
            {"nonlinearity": "relu", "num_neurons": 64},
            {"initial_bias": -0.5, "nonlinearity": "relu", "num_neurons": 64},
        ),
    ],
)
def test_settings_hold_what_is_there(values, expected):
    assert SPACE.settings(values) == expected
    assert list(SPACE.settings(values)) == list(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nonlinearity": "gelu", "num_neurons": 64}, "found none for l1"),
        ({"nonlinearity": "relu", "num_neurons": 64, "l1": 0.5}, "l1 may have a value only when"),
        ({"num_neurons": 64}, "found none for nonlinearity"),
    ],
)
def test_settings_refuse_what_the_conditions_do_not_allow(values, message):
    with pytest.raises(ValueError, match=message):
        SPACE.settings(values)


def test_what_others_depend_on_is_asked_for_first():
    assert SPACE.asked_in_order() == ["nonlinearity", "num_neurons", "l1"]


def test_bounds_and_options_hold_what_is_kept_elsewhere():
    space = Space(
        {
            "num_neurons": Int(128, 256),
            "nonlinearity": Choice(("relu", "gelu")),
            "kind": Choice(("a", "b")),
        },
        {"num_neurons": {"kind": ("a",)}, "nonlinearity": {"kind": ("b",)}},
    )
    assert space.bounds("num_neurons", 64) == (64, 256)
    assert space.bounds("num_neurons", 512) == (128, 512)
    assert space.options("nonlinearity", "solu") == ("relu", "gelu", "solu")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"x": (1,)}, "found x, which the space does not name .c.. Name one of a, d."),
        ({"b": (0.5,)}, "found b, which may be any number of a range"),
        ({"e": (1,)}, "found e, which is fixed"),
        ({"c": (1,)}, "found c, the parameter itself"),
        (
            {"a": (1, 4)},
            "when must have values that a can have, found 4 .c.. Take them from 1 to 3",
        ),
    ],
)
def test_conditions_that_cannot_be_meant_are_refused(condition, message):
    entries = {"a": Int(1, 3), "b": Float(0.0, 1.0), "c": Float(0.0, 1.0), "e": 1.0}
    entries["d"] = Choice((1, 2))
    with pytest.raises(ValueError, match=message):
        Space(entries, {"c": condition})


def test_a_condition_on_a_conditional_parameter_is_refused():
    entries = {"a": Choice((1, 2)), "b": Choice((1, 2)), "c": Choice((1, 2))}
    with pytest.raises(ValueError, match="found b, which has a when itself"):
        Space(entries, {"b": {"a": (1,)}, "c": {"b": (1,)}})


def test_spaces_are_equal_where_their_conditions_are():
    entries = {"a": Choice((1, 2)), "b": Choice((1, 2))}
    assert Space(entries, {"b": {"a": (1,)}}) == Space(entries, {"b": {"a": (1,)}})
    assert Space(entries, {"b": {"a": (1,)}}) != Space(entries)
