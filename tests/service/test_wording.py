"""Lists in sentences."""

import pytest

from service.wording import listed


@pytest.mark.parametrize(
    ("words", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")],
)
def test_the_last_one_has_a_word_before_it(words: list[str], said: str) -> None:
    assert listed(iter(words), "or") == said
