"""Which hosts only this machine reaches."""

import pytest

from service.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.", "[::1]"]
)
def test_everything_else_is_for_others_too(host: str) -> None:
    assert not is_loopback(host)
