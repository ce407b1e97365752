import math

import pytest

from search_spaces import Choice, Float, Int


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Float(1.0, 0.5), "low must be at most high, found 1.0 > 0.5"),
        (lambda: Float(0.0, 1.0, log=True), "low must be above 0 where log is true, found 0.0"),
        (lambda: Float(-1.0, math.inf), "high must be a finite number, found inf"),
        (lambda: Float(math.nan, 1.0), "low must be a finite number, found nan"),
        (lambda: Float(False, 1.0), "low must be a finite number, found False"),
        (lambda: Int(4, 3), "low must be at most high, found 4 > 3"),
        (lambda: Int(0, 8, step=0), "step must be at least 1, found 0"),
        (lambda: Int(1, 8, step=2, log=True), "step must be 1 where log is true, found 2"),
        (lambda: Int(0, 8, log=True), "low must be above 0 where log is true, found 0"),
        (lambda: Int(1.5, 8), "low must be a whole number, found 1.5"),
        (lambda: Int(1, True), "high must be a whole number, found True"),
        (lambda: Choice(()), "options must hold at least one option, found none"),
        (lambda: Choice(("relu", "gelu", "relu")), "options must differ, found 'relu' twice"),
        (lambda: Choice((1, 1.0)), "options must differ, found 1.0 twice"),
        (lambda: Choice((1.0, math.nan)), "An option must be a word or a finite number, found nan"),
        (lambda: Choice((True, False)), "An option must be a word or a finite number, found True"),
    ],
)
def test_impossible_parameters_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (Float(-1.0, 0.5), [-1, -1.0, 0, 0.5], [-1.01, 0.51, "0", True, math.nan]),
        (Float(0.1, 1.0, log=True), [0.1, 1.0], [0.05]),
        (Int(256, 1000, step=64), [256, 320, 960], [257, 1000, 1024, 192, 320.5, "256"]),
        (Int(0, 3), [0, 1, 3], [True, 4, -1, 0.5]),
        (Choice(("relu", "gelu")), ["relu", "gelu"], ["solu", 0]),
        (Choice((0, 1)), [0, 1], [True, False, 2]),
    ],
)
def test_what_a_parameter_contains(parameter, inside, outside):
    assert [parameter.contains(value) for value in inside] == [True] * len(inside)
    assert [parameter.contains(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("parameter", "first"),
    [
        (Float(0.5, 0.5), 0.5),
        (Float(2.0, 2.0, log=True), 2.0),
        (Int(8, 8), 8),
        (Int(8, 15, step=8), 8),
        (Choice(("relu",)), "relu"),
    ],
)
def test_one_value_left_is_fixed(parameter, first):
    assert parameter.is_fixed
    assert parameter.first == first
    assert parameter.contains(first)


@pytest.mark.parametrize("parameter", [Float(0, 1e-9), Int(8, 16, step=8), Choice(("a", "b"))])
def test_more_than_one_value_varies(parameter):
    assert not parameter.is_fixed


def test_parameters_are_values():
    assert Float(0, 1) == Float(0, 1)
    assert Choice(["a", "b"]) == Choice(("a", "b"))
    assert len({Int(1, 2), Int(1, 2), Int(1, 3)}) == 2
