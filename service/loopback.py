"""Which names of a host mean this machine, and are out of every other machine's reach."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL names it without brackets, is this machine for itself alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
