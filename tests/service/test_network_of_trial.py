"""The network that a trial ended with: as it was kept, or trained again."""

from collections.abc import Callable

import pytest

from service.errors import UserError
from service.network_of_trial import network_of
from service.opened import OpenSweep
from service.trials import Trial

MakeTrial = Callable[..., Trial]
TrainSweep = Callable[..., OpenSweep]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


def test_a_search_trial_is_trained_again(train_sweep: TrainSweep, make_trial: MakeTrial) -> None:
    sweep = train_sweep(make_trial("search", 0, settings=IN_SPACE, seeds=(5,)))
    steps: list[int] = []
    found = network_of(sweep, "0", steps.append)
    assert (found.trial.trial_id, steps[-1]) == ("search/0", 256)
    assert "search/0 trained again, with the same numbers as then, seed 5." in found.origin
    mean = sweep.trials["mean_bias"].to_pylist()[0]
    assert found.network.bias.mean() == pytest.approx(mean, abs=1e-6)


def test_one_that_was_confirmed_is_as_its_confirmation_kept_it(
    train_sweep: TrainSweep, make_trial: MakeTrial
) -> None:
    train_sweep(make_trial("search", 0, settings=IN_SPACE))
    sweep = train_sweep(
        *(
            make_trial("confirmation", number, settings=IN_SPACE, seeds=(seed,), role=role)
            for number, (seed, role) in enumerate(
                [(7, "baseline"), (8, "search/0"), (9, "search/0")]
            )
        )
    )
    for trial_id, seed in (("0", 8), ("confirmation/2", 9), ("confirmation/0", 7)):
        found = network_of(sweep, trial_id, lambda _: pytest.fail("it was kept"))
        assert found.network.member.seed == seed
    assert "confirmation/1, which confirmed search/0, ended with, seed 8" in (
        network_of(sweep, "0").origin
    )


@pytest.mark.parametrize("state", ["waiting", "pruned", "failed"])
def test_one_that_did_not_end_complete_has_none(
    train_sweep: TrainSweep,
    make_trial: MakeTrial,
    tiny_writer: object,
    record: Callable[..., None],
    state: str,
) -> None:
    record(tiny_writer, make_trial("search", 0, settings=IN_SPACE, state=state))
    sweep = train_sweep(make_trial("baseline", 0))
    with pytest.raises(UserError, match=f"must be complete to be looked into, found .* {state}"):
        network_of(sweep, "0")
