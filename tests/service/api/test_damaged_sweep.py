"""A sweep whose row is not as it was written is its own trouble, and nobody else's."""

import logging
from typing import Any

import pytest


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE monosweep_sweeps SET num_trials = 77 WHERE name = 'one'",
        "UPDATE monosweep_sweeps SET settings = '{' WHERE name = 'one'",
    ],
)
def test_the_others_are_served(
    served: Any, tiny_text: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        assert served.submit(tiny_text, name=name).status_code == 201
    with served.ledger.engine.begin() as connection:
        connection.exec_driver_sql(damage)
    served.app.state.backing.board.forget("one")
    assert served.submit(tiny_text, name="three").status_code == 201
    with caplog.at_level(logging.ERROR, logger="monosweep"):
        for _ in range(2):
            listed = served.get("/v1/sweeps")
            assert [one["name"] for one in listed.json()["sweeps"]] == ["two", "three"]
    (said,) = [record.message for record in caplog.records if "left out" in record.message]
    assert said.startswith("The sweep one is left out of lists: the ledger must hold")
    assert served.get("/v1/sweeps/two").status_code == 200
    assert 'monosweep_sweeps{stage="queued"} 3.0' in served.get("/v1/metrics").text
    assert served.get("/v1/sweeps/one").status_code == 500
    assert served.post("/v1/sweeps/two/stop").status_code == 202
