"""Taking a sweep into the queue: from the file's text to its row, or a refusal by name."""

from collections.abc import Sequence

from service import warm_start
from service.api.backing import Backing
from service.api.models import Submission
from service.api.problems import ServerFullError
from service.dispatch.stages import is_given_up
from service.ledger import queue
from service.ledger.outlines import outlines
from service.ledger.queue import Entry
from service.ledger.sweep_row import NewSweep
from service.ledger.tokens import Caller
from service.spec import Spec, parse_spec


def spec_of(submission: Submission) -> Spec:
    """The sweep that is submitted, read from its text alone: nothing that it names is opened.

    Raises:
        SpecError: With everything in it that does not hold.
    """
    spec = parse_spec(submission.spec, origin="spec")
    return spec if submission.name is None else spec.with_name(submission.name)


def submit(backing: Backing, caller: Caller, spec: Spec, *, priority: int, key: str | None) -> bool:
    """Queue a sweep; whether it is new, or was queued by the same submission before.

    Raises:
        SpecError: If it is larger than a server takes.
        UserError: If it cannot start from the sweeps that it names.
        KeyReusedError: If the key was used for another sweep.
        SweepExistsError: If the name is taken.
        ServerFullError: If the queue, or what is kept of the caller's, has as many as it may.
    """
    backing.limits.check(spec)
    warm_start.check(backing.ledger, spec)
    new = NewSweep(
        name=spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        # Recorded by its first driver: what trains it is not what this server runs on.
        versions={},
        num_trials=spec.search.num_trials,
    )
    engine = backing.ledger.engine
    # One at a time, so that there is still room when it is taken. Sent again, it needs none.
    with backing.submitting:
        entries = queue.entries(engine)
        if not any(_is_of(entry, caller, key) for entry in entries):
            _check_kept(backing, caller, entries)
            check_room(backing, spec.name, caller, entries)
        return queue.submit(engine, new, owner=caller.name, priority=priority, key=key)


def _check_kept(backing: Backing, caller: Caller, entries: Sequence[Entry]) -> None:
    """Make sure that one more sweep of the caller's may be kept, also where all have ended.

    Raises:
        ServerFullError: If there are as many as there may be.
    """
    most = backing.limits.sweeps_each
    if sum(entry.owner == caller.name for entry in entries) >= most:
        raise ServerFullError(
            f"the server must keep at most {most} sweeps of {caller.name}'s, found as many. Delete "
            "one that is not needed any more."
        )


def check_room(backing: Backing, name: str, caller: Caller, entries: Sequence[Entry]) -> None:
    """Make sure that a sweep may be wanted besides those that are unfinished.

    Args:
        backing: Of the app.
        name: The sweep.
        caller: Whose it becomes if it is nobody's.
        entries: The queue as it is now.

    Raises:
        ServerFullError: If there are as many as there may be, of all or of its owner's.
    """
    limits = backing.limits
    owner = next((entry.owner for entry in entries if entry.sweep == name), caller.name)
    others = {
        entry.sweep: entry.owner for entry in entries if entry.is_wanted and not is_given_up(entry)
    }
    others.pop(name, None)
    # Most often told without looking at any sweep.
    if len(others) < min(limits.unfinished, limits.unfinished_each):
        return
    unfinished = [
        others[record.name]
        for record in outlines(backing.ledger.engine)
        if record.name in others and record.state in ("running", "interrupted")
    ]
    for whose, num_found, most in (
        ("", len(unfinished), limits.unfinished),
        (f" of {owner}'s", unfinished.count(owner), limits.unfinished_each),
    ):
        if num_found >= most:
            raise ServerFullError(
                f"the queue must hold at most {most} unfinished sweeps{whose}, found as many. "
                "Stop one, or ask again when one has ended."
            )


def _is_of(entry: Entry, caller: Caller, key: str | None) -> bool:
    return key is not None and (entry.owner, entry.idempotency_key) == (caller.name, key)
