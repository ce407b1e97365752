"""The study runs, at a tiny size, and its test of equivalence is able to say no."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench_equivalence import CASE, MARGINS, equivalence, measure


def pairs(differences):
    return [
        {"float32": dict.fromkeys(MARGINS, 0.5), "bfloat16": dict.fromkeys(MARGINS, 0.5 + one)}
        for one in differences
    ]


def test_what_hardly_differs_is_equivalent():
    found = equivalence(pairs([-0.001, 0.001] * 10))
    assert all(one["equivalent"] for one in found.values())


def test_a_difference_of_the_margin_is_not():
    found = equivalence(pairs([0.019, 0.021] * 10))
    assert not any(one["equivalent"] for one in found.values())


def test_few_noisy_pairs_show_nothing():
    found = equivalence(pairs([-0.05, 0.05]))
    assert not any(one["equivalent"] for one in found.values())


def test_loss_is_a_ratio():
    # 0.502 / 0.5 - 1 is 0.004; of the others it is the difference, 0.002.
    found = equivalence(pairs([0.002] * 3))
    assert found["loss"]["mean"] == pytest.approx(0.004)
    assert found["feature_coverage"]["mean"] == pytest.approx(0.002)


def test_what_was_trained_is_kept(tmp_path):
    case = replace(
        CASE,
        task=replace(CASE.task, num_features=16, num_inputs=4),
        training=replace(CASE.training, num_steps=4, batch_size=8),
        member=replace(CASE.member, num_neurons=16),
    )
    kept = tmp_path / "pairs.jsonl"
    found = measure(case, 2, 1, kept)
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert sorted(line["seed"] for line in lines) == [0, 1]
    kept.write_text(kept.read_text() + kept.read_text().replace(repr(case), "another"))
    assert measure(case, 2, 1, kept) == found
    assert len(kept.read_text().splitlines()) == 4
