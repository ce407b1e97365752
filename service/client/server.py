"""The sweeps of a server."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from service.client.access import Access
from service.client.connection import LONG_S, Connection
from service.errors import (
    ServerAwayError,
    ServerSilentError,
    SweepNotFoundError,
    UserError,
)
from service.outages import Outage
from service.place import TABLES, Answer, Extent, Json
from service.simple_word import SIMPLE_WORD, is_simple_word
from service.spec import Spec
from service.spec.yaml_values import clipped
from service.stage_view import stage_of
from service.whole_files import write_whole

# How long a server that is away, or has no room, is asked again for a new sweep.
PATIENCE_S = 60.0

_REST_S = 0.5
# Between two looks whether a sweep is gone, and how long that is looked for.
_LOOK_S = 2.0
_DELETION_S = 3600.0
_PARQUET = "application/vnd.apache.parquet"
_PER_PAGE = 100
# What our answers have, and those of other programs have not.
_OF_SWEEP = ("name", "stage", "state", "phase", "phases", "trials", "verdict")
_OF_VERDICT = ("name", "confirmed", "sentence")
# Nobody is at work on a sweep then, nor will be before somebody asks for it.
_OVER = ("finished", "failed", "stopped", "interrupted", "deleting")

_Answered = TypeVar("_Answered")


class Server:
    """The ``Place`` at a server: every call of its HTTP API that the commands make.

    Besides what its methods say, each raises UserError if the server refuses it or is none of ours,
    ServerAwayError if it does not answer now or refuses for now, and ServerError if it failed.

    Args:
        access: Which one, and the token it is shown.
        pause: Waits so many seconds.
    """

    tracking_uri: str | None = None

    def __init__(self, access: Access, pause: Callable[[float], object] = time.sleep) -> None:
        self.again = access.again
        self._connection = Connection(access)
        self._pause = pause

    def submit(self, spec: Spec, *, priority: int | None, origin: str) -> tuple[Json, bool]:
        """Have a new sweep driven; sending it again, by whichever call, makes no second one.

        Args:
            spec: The sweep file, perhaps under another name.
            priority: Of sweeps that wait, the highest goes first; None leaves it to the server.
            origin: What to call the file in messages.

        Returns:
            Where it stands, and whether it is new to the server.

        Raises:
            SpecError: If the server takes no such sweep.
        """
        body: Json = {"spec": spec.text, "name": spec.name}
        if priority is not None:
            body["priority"] = priority
        status, found = self._patiently(
            partial(
                self._connection.json,
                "POST",
                "sweeps",
                _OF_SWEEP,
                body=body,
                headers={"Idempotency-Key": _key(spec)},
                origin=origin,
            )
        )
        return found, status == 201

    def statuses(self) -> list[Json]:
        """Where all sweeps stand, oldest submission first, as far as the list of them says."""
        return list(self._statuses())

    def _statuses(self) -> Iterator[Json]:
        asked: dict[str, str | int] = {"limit": _PER_PAGE}
        while True:
            _, page = self._connection.json("GET", "sweeps", ("sweeps", "next"), params=asked)
            yield from page["sweeps"]
            if page["next"] is None:
                return
            asked["after"] = page["next"]

    def status(self, name: str) -> Json:
        """Where a sweep stands, and what the server knows besides."""
        return self._sweep("GET", name)

    def answer(self, name: str) -> Answer:
        """What came of it."""
        status = self.status(name)
        _, verdict = self._connection.json("GET", f"{_place(name)}/best", _OF_VERDICT)
        return Answer(verdict, None if status["verdict"] else stage_of(status))

    def follow(self, name: str, show: Callable[[Json], None]) -> Json:
        """Show where a sweep stands until nobody is at work on it, nor will be by itself.

        A server that goes away meanwhile is waited for.
        """
        found, outage = self.status(name), Outage()
        while stage_of(found) not in _OVER:
            try:
                found = self._seen(name, show, outage)
            except ServerAwayError as error:
                outage.met(error, "It is waited for.")
                self._pause(max(outage.pause_s, error.retry_after_s))
        return found

    def _seen(self, name: str, show: Callable[[Json], None], outage: Outage) -> Json:
        """Show what the server tells until it ends; where the sweep stands then."""
        events = self._connection.events(f"{_place(name)}/events", "status", _OF_SWEEP)
        with closing(events):
            for found in events:
                outage.is_over()
                if stage_of(found) in _OVER:
                    return found
                show(found)
        # As it does when it is stopped itself; that must not be asked again and again.
        self._pause(_REST_S)
        return self.status(name)

    def stop(self, name: str) -> Json:
        """Have it driven no more, and wait until its driver has left."""
        self._sweep("POST", name, "/stop")
        return self.follow(name, _show_nobody)

    def resume(self, name: str, num_trials: int | None = None) -> Json:
        """Have it driven again, with a larger budget of the search if one is given."""
        if num_trials is None:
            return self._sweep("POST", name, "/resume")
        return self._sweep("POST", name, "/extend", body={"num_trials": num_trials})

    def logs(self, name: str, num_lines: int) -> str:
        """The last lines of what its last driver said."""
        return self._connection.text(f"{_place(name)}/logs", {"lines": num_lines})

    def export(self, name: str, folder: Path, tables: Collection[str] = TABLES) -> list[Path]:
        """Write its tables, or some of them, into a folder, all of them or none."""
        return write_whole(
            {
                folder / f"{table}.parquet": partial(
                    self._connection.download, f"{_place(name)}/export/{table}", _PARQUET
                )
                for table in tables
            },
            "folder",
        )

    def page(self, name: str) -> Path:
        """``NAME.html`` where the command is given."""
        return Path(f"{name}.html")

    def report(self, name: str, path: Path) -> None:
        """Write its page."""
        page = partial(self._connection.download, f"{_place(name)}/report", "text/html")
        write_whole({path: page}, "file")

    def extent(self, name: str) -> Extent:
        """What deleting it would take away; how large its files are is not known from here."""
        status = self.status(name)
        return Extent(
            num_trials=sum(sum(counts.values()) for counts in status["phases"].values()),
            num_bytes=None,
            verdict=status["verdict"],
            is_begun=status["state"] == "deleting",
        )

    def delete(self, name: str) -> None:
        """Delete it everywhere.

        The server does so before it answers: where it is not waited for to the end by what is in
        between, it is asked whether the sweep is gone.
        """
        asked = {"confirm": name}
        try:
            self._connection.answer("DELETE", _place(name), params=asked, patience_s=LONG_S)
        except ServerSilentError as error:
            self._wait_until_deleted(name, error)

    def _wait_until_deleted(self, name: str, error: ServerSilentError) -> None:
        """Wait for a deletion that was begun; raise why there was no answer if none was."""
        waited_s = 0.0
        while True:
            try:
                found = self.status(name)
            except SweepNotFoundError:
                return
            except ServerAwayError:
                raise error from None
            if found["state"] != "deleting":
                raise error
            if waited_s >= _DELETION_S:
                raise ServerAwayError(
                    f"the sweep {name} is still being deleted after {waited_s:.0f} s. To see to "
                    f"its end: monosweep delete {name}{self.again}"
                )
            self._pause(_LOOK_S)
            waited_s += _LOOK_S

    def _sweep(self, method: str, name: str, call: str = "", **asked: Any) -> Json:
        return self._connection.json(method, f"{_place(name)}{call}", _OF_SWEEP, **asked)[1]

    def _patiently(self, ask: Callable[[], _Answered]) -> _Answered:
        """The answer to what can be asked again, from a server that may be away for a while."""
        outage, waited_s = Outage(), 0.0
        while True:
            try:
                answered = ask()
            except ServerAwayError as error:
                if waited_s + error.retry_after_s >= PATIENCE_S:
                    raise
                outage.met(error, "It is asked again.")
                pause_s = max(outage.pause_s, error.retry_after_s)
            else:
                outage.is_over()
                return answered
            waited_s += pause_s
            self._pause(pause_s)


def _show_nobody(_found: Json) -> None:
    """For those who only wait."""


def _key(spec: Spec) -> str:
    """What makes a submission the same one: its name and its file."""
    return sha256(f"{spec.name}\n{spec.text}".encode()).hexdigest()


def _place(name: str) -> str:
    """A sweep's own path.

    Raises:
        UserError: If no sweep has such a name, which might mean another path.
    """
    if not is_simple_word(name):
        raise UserError(
            f"a sweep's name must be {SIMPLE_WORD}, found {clipped(name)}. See all sweeps with: "
            "monosweep status"
        )
    return f"sweeps/{name}"
