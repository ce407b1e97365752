import pytest

from search_spaces.paper import BATCHES
from service.paper.notes import listed_numbers, notes
from service.paper.scaling import Scaling, scaled


def said(name, **asked):
    return notes(scaled(BATCHES[name], Scaling(**asked)))


def test_at_full_size():
    assert said("LR3") == (
        "Size: 512 features, 64 inputs, 1024 neurons, the paper's own.",
        "Training: 131072 steps (the paper's) on batches of 8192 (the paper's), one seed a point.",
    )


def test_every_scaling_is_stated():
    assert said("LR3", scale=2, num_steps=8192, batch_size=256, num_seeds=3) == (
        "Size: 256 features, 32 inputs, 512 neurons, the paper's divided by 2.",
        # 256 / 64 and 512 / 64
        "The feature density is the paper's, so a sample has 4 active features on average instead "
        "of 8.",
        "Training: 8192 steps (1/16 of the paper's 131072) on batches of 256 (1/32 of the paper's "
        "8192), 3 seeds a point.",
        "Bias decay: 0.48, the paper's 0.03 times 16, which pulls as much in all over fewer steps "
        "as the paper's.",
    )


def test_without_a_bias_decay_none_is_adjusted():
    assert not any("decay" in note for note in said("LR1", num_steps=8192))


@pytest.mark.parametrize(
    ("name", "asked", "note"),
    [
        ("E1", {"scale": 2}, "has 8 to 128 active features on average instead of 16 to 256"),
        ("K0", {"scale": 2}, "8, 16, 32, 64, 128, 256, 512 and 1024 neurons"),
        ("LR1", {"scale": 8}, "With fewer than 16 inputs, here 8, hardly any"),
        ("LR1", {"num_steps": 1000}, "1000 steps are no multiple of 1024"),
        ("LR1", {"num_steps": 2**18}, "262144 steps (2 times the paper's 131072)"),
        ("LR3", {"num_steps": 2**18}, "0.03 times 0.5, which pulls as much in all over more steps"),
        ("LR3", {"num_steps": 64}, "Bias decay: 16.67. The paper's 0.03 times 2048 would pull as "
         "much in all over fewer steps as the paper's, but it is capped at 0.5 / 0.03 = 16.67, so "
         "that bias decay times the learning rate stays below 1: 0.03 pulls less here than in the "
         "paper."),
        ("D1", {"num_steps": 16}, "are one: the grid has 1 fewer."),
    ],
)  # fmt: skip
def test_a_note(name, asked, note):
    assert any(note in each for each in said(name, **asked)), said(name, **asked)


def test_effects_that_are_not_there_are_not_told_of():
    told = " ".join(said("LR3", scale=4, num_steps=8192))
    assert "capped" not in told
    assert "fewer than" not in told
    assert "no multiple" not in told


def test_a_list_for_people():
    assert listed_numbers([0.5]) == "0.5"
    assert listed_numbers([0.001, 2048, 1e-7]) == "0.001, 2048 and 1e-07"
