"""How often Python looks for objects that hold only each other."""

import gc

_PYTHONS_OWN = gc.get_threshold()
# New objects until it looks again. At 700, Python's own number, it looked some thousand times while
# a sweep of 10,000 trials was read and found next to nothing: a sixth of the time of a ``resume``.
_MANY = 50_000


def rarely() -> None:
    """For a command that reads: it makes many objects and keeps most of them."""
    gc.set_threshold(_MANY)


def as_before() -> None:
    """For what goes on for hours after that, a server or a driver, and makes objects to drop them.

    Nothing where ``rarely`` was not called: a notebook has its own numbers.
    """
    if gc.get_threshold()[0] == _MANY:
        gc.set_threshold(*_PYTHONS_OWN)
