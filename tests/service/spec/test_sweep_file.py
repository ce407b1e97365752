"""YAML text to located data: the core schema, the lines, and what is refused."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import SpecError
from service.spec.sweep_file import MAX_BYTES, locate, read_text
from service.spec.yaml_values import dotted, flow

# YAML 1.2.2, section 10.3.2; the words are those that YAML 1.1 reads otherwise.
CORE_SCHEMA = [
    ("1e-3", 0.001),
    ("1e3", 1000.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("+1.5E+2", 150.0),
    ("-0", 0),
    ("010", 10),
    ("0o17", 15),
    ("0x10", 16),
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("0b11", "0b11"),
    ("2020-01-01", "2020-01-01"),
    ("nan", "nan"),
    ("e3", "e3"),
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("~", None),
    ("null", None),
    ("", None),
    ("'3'", "3"),
    ('"true"', "true"),
    ("=", "="),
    ("<<", "<<"),
]


@pytest.mark.parametrize(("word", "value"), CORE_SCHEMA)
def test_words_mean_what_yaml_1_2_says(word, value):
    found = locate(f"a: {word}\n", origin="x").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_item_has_its_line():
    text = "# comment\na: 1\nb: {c: 2,\n    d: [3,\n  4]}\ne:\n  - f: 5\n"
    located = locate(text, origin="x")
    assert located.data == {"a": 1, "b": {"c": 2, "d": [3, 4]}, "e": [{"f": 5}]}
    assert located.lines == {
        (): 1,
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 3,
        ("b", "d"): 4,
        ("b", "d", 0): 4,
        ("b", "d", 1): 5,
        ("e",): 6,
        ("e", 0): 7,
        ("e", 0, "f"): 7,
    }
    assert located.line(("b", "missing", "deeper")) == 3
    assert located.line(("missing",)) == 1


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffa: 1\r\nb: é\r\n".encode())
    located = locate(read_text(path), origin="x")
    assert located.data == {"a": 1, "b": "é"}
    assert located.lines["b",] == 2


# text, line, what the message says
COLLECTED = [
    ("a: 1\na: 2\n", 2, "a must be given once, found it again after line 1 (a, line 2). Remove"),
    ('a: {b: 1,\n "b": 2}\n', 2, "b must be given once, found it again after line 1 (a.b, line 2)"),
    ("a: .nan\n", 1, "A number must be finite, found .nan (a, line 1). Write a finite one."),
    ("a: [1,\n -.inf]\n", 2, "must be finite, found -.inf (a[1], line 2)"),
    ("a: 1e999\n", 1, "must be finite, found 1e999 (a, line 1)"),
    ("a: " + "9" * 5000, 1, "must be finite, found 9999"),
    ("a: !!str 3\n", 1, "must be written out, found the YAML tag !!str (a, line 1)"),
    ("a: !!python/object/apply:os.system [ls]\n", 1, "tag !!python/object/apply:os.system"),
    ("a: ! 3\n", 1, "tag ! (a, line 1)"),
    ("!!map {a: 1}\n", 1, "tag !!map (line 1)"),
    ("!!str a: 1\n", 1, "tag !!str (a, line 1)"),
    (
        "a: &x 1\n",
        1,
        "found the YAML anchor or alias &x (a, line 1). Write the plain value itself.",
    ),
    ("a: 1\nb: *x\n", 2, "anchor or alias *x (b, line 2)"),
    ("<<: *x\n", 1, "anchor or alias *x"),
    ("? [a]\n: 1\n", 1, "A key must be a word, found something else (line 1). Write a word."),
    ("*x : {b: [1]}\n", 1, "A key must be a word"),
]


@pytest.mark.parametrize(("text", "line", "message"), COLLECTED)
def test_what_a_sweep_file_may_not_use_is_refused_with_its_line(text, line, message):
    problem = locate(text, origin="x").problems[0]
    assert message in problem.message
    assert problem.line == line


def test_a_refused_entry_does_not_hide_the_rest():
    located = locate("a: 1\n? {b: [c]}\n: [d]\ne: 2\na: {f: 3}\n", origin="x")
    assert located.data == {"a": 1, "e": 2}
    assert [problem.line for problem in located.problems] == [2, 5]


# text, message
REFUSED = [
    ("", "x: A sweep file must say something, found nothing (line 1)"),
    ("# only a comment\n", "must say something, found nothing"),
    ("---\n", "must say something, found nothing"),
    ("3\n", "must be a mapping, found a single value (line 1)"),
    ("\n- a\n", "must be a mapping, found a list (line 2)"),
    ("*a\n", "must be a mapping, found an alias"),
    ("a: 1\n---\nb: 2\n", "must hold one document, found a second (line 2). Remove the `---`"),
    ("%YAML 1.1\n---\na: 1\n", "must be YAML 1.2, found 1.1 (line 1). Remove the line"),
    ("a: 1\nb: c: d\n", "must be YAML, found: mapping values are not allowed here (line 2). Mend"),
    ("a: 1\n\tb: 2\n", "(line 2)"),
    ("a: [1\n", "expected ',' or ']', but got '<stream end>' (line 2)"),
    ("a: 'b\n", "found: unexpected end of stream"),
    ("a: 1\nb: \x07\n", "a character that YAML does not allow, U+0007 (line 2)"),
    ('a: 1\nb: "\\UFFFFFFFF"\n', "an escape or version out of range (line"),
    ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "an escape or version out of range"),
    ("a: " + "[" * 40 + "\n", "must be at most 16 levels deep, found more (line 1). Look for"),
    ("a: " + "[" * 40_000, "must be at most 16 levels deep"),
    ("{a: " * 15_000, "must be at most 16 levels deep"),
    ("? " * 30_000, "must be at most 16 levels deep"),
    ("a" * (MAX_BYTES + 1), "must be at most 64 kB, found more (x)"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(SpecError) as caught:
        locate(text, origin="x")
    assert message in str(caught.value)


def test_aliases_cannot_blow_a_file_up():
    bomb = "a0: &a0 [1, 1]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)
    )
    start = time.perf_counter()
    assert locate(bomb, origin="x").problems
    assert time.perf_counter() - start < 5


def test_a_file_must_be_there_be_readable_small_and_utf_8(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match=r"must be a file, found a folder \(.*\)\. Name a file"):
        read_text(tmp_path)
    with pytest.raises(SpecError, match="must be readable, found: File name too long"):
        read_text(tmp_path / ("a" * 5000))
    with pytest.raises(SpecError, match="must be readable, found: embedded null"):
        read_text(Path("a\0b"))
    with pytest.raises(SpecError, match="must be readable, found: Not a directory"):
        read_text(Path(__file__) / "a.yaml")
    with pytest.raises(SpecError, match=r"at most 64 kB, found more \(/dev/zero\)"):
        read_text(Path("/dev/zero"))
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: é\n".encode("latin-1"))
    with pytest.raises(
        SpecError,
        match=r"must be UTF-8 text, found the byte 0xe9 \(.*, line 2\)\. Save it as UTF-8",
    ):
        read_text(path)


KEYS = st.text(max_size=64)  # YAML ends a key on one line after 1024 characters, escapes included
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(KEYS, values, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, PLAIN, max_size=4))
def test_what_flow_writes_is_read_back(data):
    try:
        assert locate(flow(data), origin="x").data == data
    except SpecError as error:
        assert "levels deep" in str(error)


@settings(deadline=None)
@given(st.text() | st.text("[]{}:,-?!&*|>'\"%@` \n\tab01.\\#~<=x"))
def test_no_text_breaks_the_reader(text):
    try:
        located = locate(text, origin="x")
    except SpecError as error:
        assert str(error).startswith(("x: ", "A sweep file"))
    else:
        assert isinstance(located.data, dict)


def test_paths_are_written_as_people_do_and_never_act_on_a_terminal():
    assert dotted(("search_space", "l1", "float", 1)) == "search_space.l1.float[1]"
    assert dotted(("a\x1b[31m", "b c")) == "'a\\x1b[31m'.'b c'"
    assert dotted(()) == ""
