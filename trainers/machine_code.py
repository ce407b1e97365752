"""Where the machine code of compiled passes comes from; imports neither torch nor what compiles."""

from collections.abc import Callable

# Given a name that changes with all that the code depends on, and what compiles it.
Obtain = Callable[[str, Callable[[], bytes]], bytes]


def _compiled_here(_: str, compiled: Callable[[], bytes]) -> bytes:
    return compiled()


_obtain: Obtain = _compiled_here


def obtain_machine_code_by(obtain: Obtain) -> None:
    """Ask for machine code from here on, where this process has none yet.

    Args:
        obtain: Gets a name and a function that compiles. It returns what that function did for this
            name, now or in another process, and vouches for it: it is run as it is.
    """
    global _obtain  # noqa: PLW0603 - a process has its machine code once
    _obtain = obtain


def machine_code(name: str, compiled: Callable[[], bytes]) -> bytes:
    """The code of this name, from whoever is asked, or compiled.

    Args:
        name: Changes with all that the code depends on.
        compiled: Makes it.
    """
    return _obtain(name, compiled)
