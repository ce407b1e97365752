import pytest

from service import sweep
from service.deletion import delete
from service.errors import UserError
from service.home import Home
from service.ledger import Ledger
from service.machine import versions
from service.spec import parse_spec


def test_a_sweep_does_not_go_on_with_other_versions(home: Home, tiny_text: str) -> None:
    spec = parse_spec(tiny_text, origin="test")
    Ledger(home.ledger_url).create_sweep(
        spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        versions={**versions(), "torch": "0.1"},
        num_trials=4,
    )
    with pytest.raises(UserError, match=r"torch: 0\.1 -> .*\n.*--accept-changes"):
        sweep.resume(spec.name, home)
    assert not Ledger(home.ledger_url).sweep(spec.name).is_live


def test_a_sweep_does_not_go_on_where_its_checkpoints_are_not(home: Home, tiny_text: str) -> None:
    spec = parse_spec(tiny_text, origin="test")
    Ledger(home.ledger_url).create_sweep(
        spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        versions={**versions(), "storage": "s3://bucket/x"},
        num_trials=4,
    )
    with pytest.raises(UserError, match=r"storage: s3://bucket/x -> beside the ledger"):
        sweep.resume(spec.name, home)
    with pytest.raises(UserError, match=r"where its files lie \(s3://bucket/x\), found another"):
        delete(Ledger(home.ledger_url), spec.name, home)
    assert Ledger(home.ledger_url).names() == [spec.name]
