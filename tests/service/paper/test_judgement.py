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
        (["held", "not tested"], "held"),
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
            {"says": "it should", "measured": "it did at 3 of 3", "verdict": "held"},
            {"says": "it should too", "measured": "it did not", "verdict": "not held"},
        ],
    }
