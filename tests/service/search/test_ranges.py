from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import Choice, Float, Int, Space
from service.search import distributions


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
