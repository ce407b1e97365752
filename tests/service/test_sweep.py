import pytest

from service import sweep
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
