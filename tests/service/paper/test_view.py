"""What is printed of the claims."""

from io import StringIO
from pathlib import Path

import pytest
from by_hand import one_each, pairs, understood_by_hand
from rich.console import Console

from search_spaces.paper import BATCHES
from service.paper.claims import BATCHES_OF_CLAIMS, Found, judged
from service.paper.view import claims_view


def printed(view):
    console = Console(file=StringIO(), width=100)
    console.print(view, highlight=False, crop=False)
    return " ".join(console.file.getvalue().split())


@pytest.fixture(scope="module")
def found(make_point, make_result):
    """Batches of which nothing was trained to the end, and two networks."""
    results = {}
    for name in BATCHES_OF_CLAIMS:
        (grid,) = BATCHES[name].grids
        points = [make_point(None, **{grid: value}) for value in BATCHES[name].values(grid)]
        results[name] = make_result(name, points)
    networks = (
        understood_by_hand("LR3", one_each(0.75, times=3), pairs(0.25)),
        understood_by_hand("K1", one_each(0.9, times=3), *[pairs(0.05, rank=4)] * 2),
    )
    return Found(results, networks)


def test_the_fourth_claim_is_judged_from_its_networks(found):
    fourth = judged(found)[3].judgement
    assert fourth.verdict == "held in part"
    assert [piece.verdict for piece in fourth.evidence][:2] == ["held", "held in part"]
    # In the second network four of 16 directions are given back: that favours some features.
    assert [piece.is_note for piece in fourth.evidence] == [False] * 4 + [True]


def test_claims_are_printed_with_evidence_and_what_does_not_count(found):
    figures = {name: [Path(f"/home/reports/{'long-' * 30}{name}.svg")] for name in found.batches}
    said = printed(claims_view(judged(found), found.batches.values(), figures))
    for number in (1, 2, 3, 4):
        assert f"Claim {number}: " in said
    assert "Not tested at this size and budget: not tested: the losses lie within 5%" in said
    # Of the second claim's five parts one was tested: that the recipe works where it failed.
    assert "Not held (4 of 5 parts not tested) at this size and budget:" in said
    assert "Held in part at this size and budget: held: few polysemantic neurons are left" in said
    assert "LR3: 32 polysemantic, 48 monosemantic; K1: 16 polysemantic, 48 monosemantic" in said
    assert "beside the claim, not counted: held" in said
    assert "It stands on paper-LR1, paper-LR3, paper-K1." in said
    for (path,) in figures.values():
        assert f"Figure: {path} " in said
    assert said.count("The paper's batch ") == len(BATCHES_OF_CLAIMS)
