"""A trial trained again comes to its numbers, bit for bit; another number is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.errors import UserError
from service.ledger import Writer
from service.opened import OpenSweep
from service.reproduction import reproduce
from service.reproduction_view import reproduction_view
from service.trials import Trial

MakeTrial = Callable[..., Trial]
TrainSweep = Callable[..., OpenSweep]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


def words(found: Any) -> str:
    return " ".join(str(line) for line in reproduction_view(found).renderables)


def test_every_number_is_the_same_alone_and_in_company(
    train_sweep: TrainSweep, make_trial: MakeTrial
) -> None:
    sweep = train_sweep(
        make_trial("search", 0, settings=IN_SPACE, seeds=(0, 1)),
        make_trial("search", 1, settings={**IN_SPACE, "num_neurons": 96}),
    )
    steps: list[int] = []
    found = reproduce(sweep, "0", steps.append)
    assert (found.differences, found.num_steps, steps[-1]) == ((), 256, 256)
    # Two networks, steps 1, 2, 4, ... 256, eight metrics.
    assert found.num_numbers == 2 * 9 * 8
    assert [network.member.seed for network in found.networks] == [0, 1]
    assert "All 144 numbers of its curves are the same, bit for bit." in words(found)


def test_a_number_that_differs_is_named(
    train_sweep: TrainSweep, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = train_sweep(make_trial("search", 0, settings=IN_SPACE))
    curves = sweep.curves_of("0")
    loss = curves["loss"].to_numpy().copy()
    right = loss[3]
    loss[3] = np.nextafter(right, 2)
    place = curves.column_names.index("loss")
    monkeypatch.setattr(
        OpenSweep, "curves_of", lambda *_: curves.set_column(place, "loss", pa.array(loss))
    )
    found = reproduce(sweep, "0")
    (difference,) = found.differences
    assert (difference.seed, difference.step, difference.metric) == (0, 8, "loss")
    assert (difference.recorded, difference.again) == (loss[3], right)
    assert (
        f"seed 0: loss at step 8 was {float(loss[3])!r}, is {float(right)!r}; it is the first"
        in words(found)
    )


def test_a_trial_that_diverged_does_so_again(
    train_sweep: TrainSweep, make_trial: MakeTrial
) -> None:
    sweep = train_sweep(
        make_trial("baseline", 0, settings={"learning_rate": 30.0}),
    )
    assert sweep.trial("baseline/0").state == "failed"
    found = reproduce(sweep, "baseline/0")
    assert (found.differences, found.networks) == ((), ())


def test_other_versions_are_told(
    train_sweep: TrainSweep, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = train_sweep(make_trial("search", 0, settings=IN_SPACE))
    sweep.record = replace(sweep.record, versions={"torch": "1.0", "storage": "elsewhere"})
    monkeypatch.setattr("service.reproduction.versions", lambda: {"torch": "2.0"})
    assert "Other versions than when the sweep was begun: torch 1.0 -> 2.0" in words(
        reproduce(sweep, "0")
    )


def test_it_needs_the_hardware_of_then(
    train_sweep: TrainSweep, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.reproduction.has_bfloat16_products", lambda: False)
    sweep = train_sweep(make_trial("search", 0, settings=IN_SPACE), precision="bfloat16")
    with pytest.raises(UserError, match="must be trained again on a processor that has them"):
        reproduce(sweep, "0")


def test_what_was_never_trained_cannot_be_trained_again(
    train_sweep: TrainSweep,
    make_trial: MakeTrial,
    tiny_writer: Writer,
    record: Callable[..., None],
) -> None:
    """It lost its worker again and again, or has the result of another sweep's trial."""
    record(
        tiny_writer,
        make_trial("search", 0, settings=IN_SPACE, state="failed", reason="it killed its worker"),
        make_trial("search", 1, settings=IN_SPACE, loss=1.0),
    )
    sweep = train_sweep(make_trial("baseline", 0))
    with pytest.raises(UserError, match=r"none of search/0 \(failed: it killed its worker\)"):
        reproduce(sweep, "0")
    taken = replace(sweep.trial("1"), same_as="search/3 of other")
    sweep._by_id["search/1"] = taken
    with pytest.raises(UserError, match="search/1 has the result of search/3 of other"):
        reproduce(sweep, "1")
