from dataclasses import replace

import pytest

from service.paper.judgement import Evidence, Judgement, held_in, together

PIECE = Evidence(says="it should", measured="it did at 3 of 3", verdict="held")
OTHER = Evidence(says="it should too", measured="it did not", verdict="not held")


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ([], "not tested"),
        ([True], "held"),
        ([True, True], "held"),
        ([True, False], "held in part"),
        ([False, False], "not held"),
    ],
)
def test_in_each_case(cases, verdict):
    assert held_in(cases) == verdict


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ([], "not tested"),
        (["not tested"], "not tested"),
        (["held", "not tested"], "held in part"),
        (["held in part", "not tested"], "held in part"),
        (["not held", "not tested"], "not held"),
        (["held", "not held", "not tested"], "held in part"),
        (["held", "held"], "held"),
        (["not held", "not held"], "not held"),
        (["held", "not held"], "held in part"),
        (["held", "held in part"], "held in part"),
        (["not held", "held in part"], "held in part"),
    ],
)
def test_of_several(verdicts, verdict):
    assert together(verdicts) == verdict


def test_a_judgement_is_a_sentence_and_numbers_for_programs():
    judgement = Judgement(statement="It holds.", evidence=(PIECE, OTHER))
    assert judgement.sentence == "Held in part: it did at 3 of 3; it did not."
    assert judgement.as_json() == {
        "statement": "It holds.",
        "verdict": "held in part",
        "sentence": "Held in part: it did at 3 of 3; it did not.",
        "evidence": [
            {"says": "it should", "measured": "it did at 3 of 3", "verdict": "held",
             "is_note": False},
            {"says": "it should too", "measured": "it did not", "verdict": "not held",
             "is_note": False},
        ],
    }  # fmt: skip


def test_what_was_not_tested_is_told():
    untested = replace(OTHER, verdict="not tested")
    found = Judgement(statement="It holds.", evidence=(PIECE, untested, untested))
    assert found.verdict == "held in part"
    assert found.in_words == "Held in part (2 of 3 parts not tested)"
    assert found.sentence.startswith("Held in part (2 of 3 parts not tested): it did at 3 of 3")
    assert Judgement(statement="It holds.", evidence=(untested,)).in_words == "Not tested"


def test_a_note_does_not_count():
    note = replace(OTHER, is_note=True)
    found = Judgement(statement="It holds.", evidence=(PIECE, note))
    assert (found.verdict, found.sentence) == ("held", "Held: it did at 3 of 3.")
    assert Judgement(statement="It holds.", evidence=(note,)).verdict == "not tested"
    assert [piece["is_note"] for piece in found.as_json()["evidence"]] == [False, True]
