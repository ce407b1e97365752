"""A cluster looked over: its machines, what they share, who gets in, and what each thing costs."""

import http.client
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from uuid import uuid4

from service import cluster_nodes, tracking
from service import node as on_node
from service.cluster_nodes import NoAnswer, Node
from service.doctor import nodes
from service.doctor.finding import Finding
from service.doctor.nodes import label
from service.driver import check_is_shared
from service.errors import MonosweepError, TrackingError
from service.home import Home, without_password
from service.ledger.clock import Reading, database_clock, read, surest
from service.node import Done, Facts, Place, Places
from service.storage import Storage, answering

# A worker's process is started for the first question, and imports what it needs.
PATIENCE_S = 60.0
DASHBOARD_S = 5.0
# How often what takes a moment is measured.
NUM_TRIES = 5
HERE = "this machine"
FOLDER = "doctor"


@dataclass(frozen=True)
class Cost:
    """What something takes.

    Attributes:
        what: What was asked for.
        where: From where it was asked.
        milliseconds: How long it took; the median where it was asked several times.
    """

    what: str
    where: str
    milliseconds: float


@dataclass(frozen=True)
class ClusterReport:
    """What was found.

    Attributes:
        findings: What was looked at.
        machines: What every node that answers is.
        costs: What each thing takes.
    """

    findings: tuple[Finding, ...]
    machines: Mapping[Node, Facts]
    costs: tuple[Cost, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to be done."""
        return all(finding.is_well for finding in self.findings)


def examine_cluster(home: Home, address: str) -> ClusterReport:
    """Look a cluster over, from one of its machines; nothing of it is changed.

    Args:
        home: Where the drivers of this machine keep sweeps.
        address: The cluster.

    Raises:
        UserError: If there is no cluster at the address.
    """
    with cluster_nodes.looking(address):
        known = cluster_nodes.nodes()
        alive = {node: None for node in known if node.is_alive}
        answers = cluster_nodes.ask(alive, on_node.facts, PATIENCE_S)
        machines = {node: one for node, one in answers.items() if isinstance(one, Facts)}
        at = cluster_nodes.dashboard()
        findings = [
            *nodes.presence(known, answers),
            *nodes.versions(on_node.facts(), machines),
            *nodes.tokens(machines, at, _status_without_token(at)),
            *nodes.fullness(machines),
        ]
        costs = _tasks(machines)
        database, of_ledger = _ledger(home)
        findings += nodes.clocks(_clocks(machines), database)
        parts = [of_ledger, _head(home, machines), _storage(home, list(machines)), _tracking(home)]
    for found, cost in parts:
        findings += found
        costs += cost
    return ClusterReport(tuple(findings), machines, tuple(costs))


Part = tuple[list[Finding], list[Cost]]
# A node; None stands for this process.
Who = Node | None
AtEach = Mapping[Who, Done]


def _tasks(machines: Iterable[Node]) -> list[Cost]:
    """What handing a function to a worker and its answer take, once the worker is there."""
    costs = []
    for node in machines:
        tries = []
        for _ in range(NUM_TRIES):
            began = time.perf_counter()
            answer = cluster_nodes.ask({node: None}, on_node.nothing, PATIENCE_S)[node]
            if isinstance(answer, NoAnswer):
                break  # it has left meanwhile, and would be waited for each time
            tries.append(time.perf_counter() - began)
        if tries:
            costs.append(Cost("empty task", label(node), statistics.median(tries) * 1e3))
    return costs


def _clocks(machines: Iterable[Node]) -> dict[Node, Reading]:
    """Each node's clock against this machine's; without those that have left meanwhile."""
    readings = {}
    for node in machines:

        def ask(node: Node = node) -> float:
            answer = cluster_nodes.ask({node: None}, on_node.clock, PATIENCE_S)[node]
            return math.nan if isinstance(answer, NoAnswer) else float(answer)

        tries = (read(ask) for _ in range(NUM_TRIES))
        found = list(takewhile(lambda one: math.isfinite(one.ahead_s), tries))
        if found:
            readings[node] = surest(found)
    return readings


def _ledger(home: Home) -> tuple[Reading | None, Part]:
    """The ledger as drivers of this machine reach it, and its clock."""
    shown = without_password(home.ledger_url)
    try:
        readings = database_clock(home.ledger_url, NUM_TRIES)
    except MonosweepError as error:
        return None, ([Finding("ledger", str(error))], [])
    if not readings:
        said = f"There is none yet at {shown}; the first sweep makes it."
        return None, ([Finding("ledger", said, is_well=True)], [])
    typical_s = statistics.median(reading.round_trip_s for reading in readings)
    found = Finding("ledger", f"Answers from here ({shown}).", is_well=True)
    return surest(readings), ([found], [Cost("ledger: question", HERE, typical_s * 1e3)])


def _head(home: Home, machines: Iterable[Node]) -> Part:
    """What a driver finds that is started as a Ray job: it runs on the head."""
    head = next((node for node in machines if node.is_head), None)
    if head is None:
        return [], []
    places = cluster_nodes.ask({head: None}, on_node.places, PATIENCE_S)[head]
    if not isinstance(places, Places):
        return [Finding("ledger", f"The head does not answer: {places.why}")], []
    if places.problem is not None:
        said = f"Drivers that are Ray jobs, on the head, cannot keep sweeps: {places.problem}"
        return [Finding("ledger", said, "Mend the environment that Ray is started in there.")], []
    here = (home.ledger_url, home.storage, home.tracking_uri)
    names = ("MONOSWEEP_LEDGER_URL", "MONOSWEEP_STORAGE", "MLFLOW_TRACKING_URI")
    there = (places.ledger, places.storage, places.tracking)
    others = [
        f"{name} {theirs}"
        for name, ours, theirs in zip(names, here, there, strict=True)
        if without_password(ours) != theirs
    ]
    cost = (
        []
        if places.ledger_s is None
        else [Cost("ledger: question", label(head), places.ledger_s * 1e3)]
    )
    if others:
        said = f"Drivers that are Ray jobs, on the head, have other places: {', '.join(others)}."
        remedy = "For those, set them in the environment that Ray is started in there."
        # A server's sweeps would not be found there, or their files not; MLflow may be another.
        is_well = places.ledger == without_password(here[0]) and places.storage == without_password(
            here[1]
        )
        return [Finding("ledger", said, remedy, is_well=is_well)], cost
    said = "Drivers that are Ray jobs, on the head, have the same places as here."
    return [Finding("ledger", said, is_well=True)], cost


def _storage(home: Home, machines: Sequence[Node]) -> Part:
    """Each machine writes a file, and the next one in a ring reads it: then all share one place."""
    try:
        check_is_shared(home, len(machines))
    except MonosweepError as error:
        return [Finding("storage", str(error))], []
    folder = f"{FOLDER}/{uuid4().hex}"
    written = _at_each(
        on_node.write,
        {
            node: Place(home.storage, f"{folder}/{number}")
            for number, node in enumerate([None, *machines])
        },
    )
    writers = [node for node, done in written.items() if done.problem is None]
    writer_of = dict(zip([*writers[1:], *writers[:1]], writers, strict=True))
    found = _at_each(
        on_node.read,
        {node: Place(home.storage, written[writer].path) for node, writer in writer_of.items()},
    )
    findings = [
        *_of_storage(written, found, writer_of),
        *(_not_removed(home, folder) if writers else ()),
    ]
    if not findings:
        said = f"{len(machines)} nodes and this machine write there, and read each other's files."
        findings = [Finding("storage", said, is_well=True)]
    mebibytes = on_node.CHECKPOINT_BYTES // 2**20
    costs = [
        Cost(f"storage: {what} {mebibytes} MiB", _name(node), done.seconds * 1e3)
        for what, all_done in (("write", written), ("read", found))
        for node, done in all_done.items()
        if done.problem is None
    ]
    return findings, costs


def _of_storage(written: AtEach, found: AtEach, writer_of: Mapping[Who, Who]) -> list[Finding]:
    """Who cannot write, and who cannot read what another has written."""
    unwritten = [
        Finding("storage", f"{_name(node)} cannot write there: {done.problem}")
        for node, done in written.items()
        if done.problem is not None
    ]
    unread = [
        Finding(
            "storage",
            f"{_name(node)} cannot read what {_name(writer_of[node])} wrote: {done.problem}",
            "Name one place that all machines share with MONOSWEEP_STORAGE.",
        )
        for node, done in found.items()
        if done.problem is not None
    ]
    return unwritten + unread


def _not_removed(home: Home, folder: str) -> list[Finding]:
    """Remove what was written for the look; what is said where that cannot be done."""
    try:
        with answering():
            Storage(home.storage).remove_folder(folder)
    except MonosweepError as error:
        return [Finding("storage", f"{folder} cannot be removed again: {error}")]
    return []


def _at_each(function: Callable[[Place], Done], places: Mapping[Who, Place]) -> AtEach:
    """What it brings on each node, and in this process for None, which goes first."""
    elsewhere = {node: place for node, place in places.items() if node is not None}
    here: dict[Who, Done] = {None: function(places[None])} if None in places else {}
    return {
        **here,
        **{
            node: Done("", PATIENCE_S, answer.why) if isinstance(answer, NoAnswer) else answer
            for node, answer in cluster_nodes.ask(elsewhere, function, PATIENCE_S).items()
        },
    }


def _name(node: Who) -> str:
    return HERE if node is None else label(node)


def _tracking(home: Home) -> Part:
    """MLflow, as drivers of this machine reach it."""
    shown = without_password(home.tracking_uri)
    tries = []
    try:
        for _ in range(NUM_TRIES):
            began = time.perf_counter()
            tracking.check_answers(home.tracking_uri)
            tries.append(time.perf_counter() - began)
    except TrackingError as error:
        return [Finding("tracking", str(error))], []
    found = Finding("tracking", f"MLflow answers from here ({shown}).", is_well=True)
    return [found], [Cost("MLflow: question", HERE, statistics.median(tries) * 1e3)]


def _status_without_token(dashboard: str | None) -> int | None:
    """What the dashboard answers to somebody without a token; None if it does not answer."""
    if dashboard is None:
        return None
    connection = http.client.HTTPConnection(dashboard, timeout=DASHBOARD_S)
    try:
        connection.request("GET", "/api/version")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
