"""The command's options, and the command that goes on with what it trains."""

import json

import pytest

from search_spaces.paper import BATCHES
from service.commands import paper as command
from service.errors import InterruptedSweepError, UserError
from service.paper.claims import CLAIMS_SCALING
from service.paper.scaling import Scaling
from service.paper.sweep_files import command as command_of


@pytest.fixture
def goes_on(monkeypatch, tmp_path):
    """A function that asks for a training which is interrupted at once: what goes on with it."""
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path))

    def interrupted(scaled, home, *, address, again):
        raise InterruptedSweepError(again)

    monkeypatch.setattr("service.paper.training.trained", interrupted)

    def ask(batch, **options):
        with pytest.raises(InterruptedSweepError) as found:
            command.paper(batch, **options)
        return str(found.value)

    return ask


@pytest.mark.parametrize(
    ("batch", "options", "said"),
    [
        ("claims", {}, "monosweep paper claims"),
        ("claims", {"scale": 1}, "monosweep paper claims --scale 1"),
        ("claims", {"scale": 2}, "monosweep paper claims"),
        ("claims", {"steps": 131072, "batch_size": 8192},
         "monosweep paper claims --steps 131072 --batch-size 8192"),
        ("LR1", {"scale": 1, "steps": 131072}, "monosweep paper LR1"),
        ("LR1", {"scale": 2, "seeds": 2}, "monosweep paper LR1 --scale 2 --seeds 2"),
    ],
)  # fmt: skip
def test_the_command_that_goes_on_trains_the_same(goes_on, batch, options, said):
    assert goes_on(batch, **options) == said


def test_a_command_says_what_is_not_usual_for_it():
    assert command_of("claims", CLAIMS_SCALING, CLAIMS_SCALING) == "monosweep paper claims"
    assert command_of("K0", Scaling()) == "monosweep paper K0"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"scale": 2}, "found --scale without one"),
        ({"steps": 64, "batch_size": 32}, "found --steps and --batch-size without one"),
        ({"seeds": 2, "address": "auto"}, "found --seeds and --address without one"),
        ({"as_json": True}, "found --json without one. Name one: monosweep paper BATCH"),
    ],
)
def test_options_without_a_batch_are_refused(options, found):
    with pytest.raises(UserError, match=found):
        command.paper(None, **options)


@pytest.fixture
def trained_to(monkeypatch, tmp_path, make_point, make_result):
    """The batch LR1 is there already; its home."""
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path))
    points = [make_point(0.5, learning_rate=rate) for rate in BATCHES["LR1"].learning_rate]
    result = make_result("LR1", points)
    monkeypatch.setattr("service.paper.training.trained", lambda *_, **__: result)
    return tmp_path


def test_a_batch_ends_in_its_figure(trained_to, capsys):
    path = trained_to / "reports" / "paper-LR1-scale2-steps8192-batch256.svg"
    command.paper("LR1", scale=2, steps=8192, batch_size=256)
    assert f"Figure: {path}\n" in capsys.readouterr().out
    assert path.is_file()
    command.paper("LR1", scale=2, steps=8192, batch_size=256, as_json=True)
    assert json.loads(capsys.readouterr().out)["figures"] == [str(path)]
