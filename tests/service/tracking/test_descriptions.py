"""What MLflow's pages say in words."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from service.tracking import Facts, descriptions
from service.tracking.descriptions import of_experiment, of_summary
from service.tracking.views import views
from service.trials import Trial
from trainers import Member, Task, TrainingSettings, advance, begin, outcomes

MakeTrial = Callable[..., Trial]


def of_trial(trial: Trial, facts: Facts) -> str:
    return descriptions.of_trial(trial, facts, "7")


@pytest.fixture
def facts(make_facts: Callable[..., Facts]) -> Facts:
    return make_facts("told", ("loss_margin: 0.5", "loss_margin: 0.02"))


def test_the_experiment_says_what_is_asked_and_begins_with_links(facts: Facts) -> None:
    text = of_experiment(facts, views(facts), "7")
    first = text.splitlines()[0]
    assert first.startswith("**Look at:**")
    assert "(#/experiments/7/runs?viewStateShareKey=search&" in first
    assert (
        "It asks which settings of initial bias, bias decay and neurons bring the highest "
        "monosemantic per feature, with a loss at most 1.02 times the baseline's." in text
    )
    assert "64 sparse features seen through 16 inputs" in text
    assert len(text) < 5000  # MLflow's limit


def test_a_trial_says_what_it_is_and_what_came_of_it(facts: Facts, make_trial: MakeTrial) -> None:
    found = {"loss": 0.47, "monosemantic_per_feature": 1.016}
    good = of_trial(make_trial("search", 13, loss_ratio=0.712, **found), facts)
    assert good.startswith(
        "Trial 13 of the search of the sweep told: one network with settings it proposed. It ended "
        "with loss 0.47 (0.712 times the baseline's) and monosemantic per feature 1.016, within "
        "every limit."
    )
    bad = of_trial(make_trial("search", 13, loss_ratio=1.03, **found), facts)
    assert "**not within every limit**" in bad
    failed = make_trial("search", 1, state="failed", reason="diverged: loss 99 at step 64")
    assert "It failed: diverged: loss 99 at step 64." in of_trial(failed, facts)
    again = make_trial("confirmation", 2, role="search/13", **found)
    assert "**search/13** trained again on a seed" in of_trial(again, facts)
    assert "(#/experiments/7/runs?viewStateShareKey=confirmation&" in of_trial(again, facts)


@pytest.fixture
def threads() -> Iterator[None]:
    """Torch's threads, as they were."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_program_of_a_description_trains_the_same_network_again(
    facts: Facts, make_trial: MakeTrial
) -> None:
    """The numbers that it prints are those of a cohort in which it had a neighbour."""
    torch.set_num_threads(facts.cpus)
    settings = {"initial_bias": -0.1 / 3, "bias_decay": 1e-7, "num_neurons": 65}
    trial = make_trial("search", 3, settings=settings, seeds=(3, 4), loss_ratio=1.0, loss=1.0)
    task = Task(kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.03125)
    training = TrainingSettings(num_steps=256, batch_size=32)
    members = [Member(seed=seed, **trial.settings) for seed in (9, 3, 4)]  # type: ignore[arg-type]
    cohort = advance(begin(task, training, members), 256)
    expected = [str(outcome.evaluation) for outcome in outcomes(cohort)[1:]]
    (program,) = re.findall(r"```python\n(.*?)```", of_trial(trial, facts), re.DOTALL)
    torch.set_num_threads(facts.cpus + 1)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(program, {})
    assert torch.get_num_threads() == facts.cpus
    assert said.getvalue().splitlines() == expected


def test_a_description_of_many_replicates_is_not_cut_off(
    facts: Facts, make_trial: MakeTrial
) -> None:
    settings = {"initial_bias": -0.12345678901234567, "bias_decay": 1.2345678901234567e-07}
    seeds = tuple(range(2**31 - 32, 2**31))
    trial = make_trial("search", 1234, settings=settings, seeds=seeds, loss_ratio=1.0, loss=1.0)
    told = of_trial(trial, facts)
    assert len(told) <= 8000  # what MLflow keeps of a tag
    assert told.index("`monosweep reproduce told search/1234`") < told.index("```python")


def test_a_trial_of_the_same_point_says_that_it_was_not_trained(
    facts: Facts, make_trial: MakeTrial
) -> None:
    trial = make_trial("search", 3, loss_ratio=1.0, loss=1.0, reason="the same point as search/1")
    told = of_trial(replace(trial, same_as="search/1"), facts)
    assert "Not trained: the same point as search/1." in told


def test_the_summary_says_how_to_make_the_sweep_again(facts: Facts) -> None:
    assert of_summary(facts, None, "7").startswith("The sweep told has no verdict yet.")
    assert "monosweep run sweep.yaml" in of_summary(facts, {"sentence": "search/0 wins."}, "7")
