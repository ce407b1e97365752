"""Asking a sweep's driver to leave, from another process of its machine."""

import time
from collections.abc import Callable

import psutil

from service.errors import UserError
from service.ledger import Ledger, SweepRecord, queue

_LOOK_S = 0.2


def dismiss(
    ledger: Ledger, name: str, *, pause: Callable[[float], object] = time.sleep
) -> SweepRecord:
    """Ask a sweep's driver to leave, as Ctrl-C does, and wait until it has.

    Args:
        ledger: The ledger, open.
        name: The sweep.
        pause: Waits so many seconds; may raise to give up.

    Returns:
        The sweep as its driver left it.

    Raises:
        SweepNotFoundError: If there is none of that name.
        UserError: If no driver is at work on it, or one that cannot be asked from here.
    """
    record = ledger.sweep(name)
    holder = ledger.driver(name)
    if holder is None:
        raise UserError(
            f"a driver must be at work on a sweep to be stopped, found none at work on {name} "
            f"({record.state}). See it with: monosweep status {name}"
        )
    entry = queue.entry(ledger.engine, name)
    if entry is not None and entry.is_wanted:
        raise UserError(
            f"a sweep that a server drives must be stopped through it, found {name} in its queue, "
            f"which would start another driver. Stop it there: monosweep stop {name} --server URL"
        )
    if not holder.is_visible:
        raise UserError(
            f"a driver must be on this machine to be stopped from here, found process {holder.pid} "
            f"on {holder.host} at work on {name}. Stop it there: monosweep stop {name}"
        )
    try:
        holder.ask_to_leave()
    except psutil.AccessDenied as error:
        raise UserError(
            f"a driver must be yours to be stopped, found process {holder.pid} at work on {name}, "
            "another user's. Ask them to stop it."
        ) from error
    while ledger.driver(name) == holder:
        pause(_LOOK_S)
    return ledger.sweep(name)
