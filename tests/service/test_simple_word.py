"""What may name a sweep, at the server and before it is asked."""

import re

import pytest

from service.client import Access, Server
from service.errors import UserError
from service.simple_word import PATTERN, is_simple_word
from service.spec import parse_spec


@pytest.mark.parametrize("word", ["a", "7", "my-sweep_2", "A" * 64])
def test_simple_words_name_sweeps(word: str, tiny_text: str) -> None:
    assert is_simple_word(word)
    assert re.search(PATTERN, word)
    assert parse_spec(tiny_text, origin="test").with_name(word).name == word


@pytest.mark.parametrize("word", ["", "-a", "_a", "a b", "a/b", "..", "a\n", "é", "A" * 65])
def test_nothing_else_does_and_no_server_is_asked_for_it(word: str, tiny_text: str) -> None:
    assert not is_simple_word(word)
    with pytest.raises(UserError, match="must be a simple word"):
        parse_spec(tiny_text, origin="test").with_name(word)
    with pytest.raises(UserError, match="a letter or digit first"):
        Server(Access("http://127.0.0.1:1")).status(word)
