"""The machines of a cluster compared: what they say of themselves, and what is amiss in that."""

from collections.abc import Mapping, Sequence

from service.cluster_nodes import NoAnswer, Node
from service.doctor.finding import Finding
from service.ledger.clock import Reading
from service.node import Facts

# Numbers are equal bit for bit among machines where these are equal.
NUMBERS = ("monosweep", "torch", "numpy", "numba")
# Ray lets in no worker that differs in these.
RAYS = ("python", "ray")
# From when on Ray itself ends workers for memory, and makes no more files.
FULL = 0.95
# Stores refuse requests from clocks that are minutes off, and times of runs are drivers' own.
CLOCK_S = 60.0
LOOPBACK = ("127.", "localhost", "::1")


def label(node: Node) -> str:
    """What a machine is called in findings: several may have one name."""
    return f"{node.host} ({node.address})"


def presence(nodes: Sequence[Node], answers: Mapping[Node, Facts | NoAnswer]) -> list[Finding]:
    """Who is there, who does not answer, who left."""
    findings = [
        Finding(
            "nodes",
            f"{label(node)} does not answer: {answer.why}",
            "Look whether the machine is up, and has monosweep in Ray's own environment.",
        )
        for node, answer in answers.items()
        if isinstance(answer, NoAnswer)
    ]
    if not sum(node.num_cpus for node in answers):
        said = "No node lends a processor to cohorts."
        findings.append(Finding("nodes", said, "Let one join: ray start --address ADDRESS"))
    if not findings:
        cohorts = sum(int(node.num_cpus) for node in answers)
        said = f"All {len(answers)} answer, with {cohorts} CPUs for cohorts."
        findings.append(Finding("nodes", said, is_well=True))
    gone = [node for node in nodes if not node.is_alive]
    if gone:
        names = ", ".join(
            f"{label(node)}{f': {node.end}' if node.end else ''}" for node in gone[-3:]
        )
        said = f"{len(gone)} left the cluster since it was started, at last {names}"
        findings.append(Finding("nodes", said, is_well=True))
    return findings


def versions(here: Facts, facts: Mapping[Node, Facts]) -> list[Finding]:
    """Whether all run the same, the driver's machine among them."""
    findings = []
    for name in (*NUMBERS, *RAYS):
        others = [
            f"{label(node)} has {each.versions.get(name, 'none')}"
            for node, each in facts.items()
            # One with an earlier monosweep may not tell of all.
            if each.versions.get(name) != here.versions[name]
        ]
        if others:
            what = "changes numbers" if name in NUMBERS else "Ray refuses"
            said = f"{name} is {here.versions[name]} here, but {', '.join(others)}; that {what}."
            findings.append(Finding("versions", said, "Install the same everywhere."))
    if not findings:
        same = ", ".join(f"{name} {here.versions[name]}" for name in (*NUMBERS, *RAYS))
        findings.append(Finding("versions", f"The same everywhere: {same}.", is_well=True))
    return [*findings, *_processors(here, facts)]


def _processors(here: Facts, facts: Mapping[Node, Facts]) -> list[Finding]:
    lenders = {node: each for node, each in facts.items() if node.num_cpus}
    kinds = sorted({each.versions["processor"] for each in lenders.values()})
    without = [label(node) for node, each in lenders.items() if not each.has_bfloat16]
    findings = []
    if len(kinds) > 1:
        findings.append(
            Finding(
                "versions",
                f"Cohorts run on {len(kinds)} kinds of processor ({', '.join(kinds)}): numbers "
                "are the same bit for bit only among those of one kind.",
                "Where that matters, keep a sweep to machines of one kind.",
                is_well=True,
            )
        )
    if without and (here.has_bfloat16 or len(without) < len(lenders)):
        findings.append(
            Finding(
                "versions",
                f"No bfloat16 products in hardware on {', '.join(without)}, which refuse cohorts "
                "that are to be trained with them.",
                "Write training.precision: float32 into sweep files, or leave these machines out.",
            )
        )
    return findings


# What is answered to somebody who lacks the token, or has another one.
ASKING = (401, 403)


def tokens(facts: Mapping[Node, Facts], dashboard: str | None, status: int | None) -> list[Finding]:
    """Whether Ray lets in only who has its token.

    Args:
        facts: What each node says.
        dashboard: Where the dashboard is, or None.
        status: What it answered to somebody without a token; None if it did not answer.
    """
    remedy = (
        "Start every node with RAY_AUTH_MODE=token and one RAY_AUTH_TOKEN_PATH, or keep its ports "
        "to a network of your own."
    )
    is_alone = all(node.address.startswith(LOOPBACK) for node in facts)
    open_nodes = [label(node) for node, each in facts.items() if not each.asks_for_a_token]
    findings = []
    if open_nodes:
        said = f"Ray runs anybody's code, without a token, on {', '.join(open_nodes)}."
        findings.append(Finding("tokens", said, remedy, is_well=is_alone))
    if dashboard is not None and status is not None and status not in (*ASKING, *range(400)):
        said = f"Ray's dashboard ({dashboard}) says nothing of its token, found status {status}."
        findings.append(Finding("tokens", said, "Look at why it does not answer, and try again."))
    elif dashboard is not None and status is not None and status not in ASKING:
        said = f"Ray's dashboard ({dashboard}) answers without a token."
        is_here = dashboard.startswith(LOOPBACK)
        findings.append(Finding("tokens", said, remedy, is_well=is_alone or is_here))
    if not findings:
        also = "" if status is None else f", and so does the dashboard (status {status})"
        said = f"Ray asks for its token on every node{also}."
        findings.append(Finding("tokens", said, is_well=True))
    return findings


def clocks(readings: Mapping[Node, Reading], database: Reading | None) -> list[Finding]:
    """Whether all clocks agree, the database's among them.

    Args:
        readings: Of each node's clock, against this machine's.
        database: The same of the database's.
    """
    named = {label(node): reading for node, reading in readings.items()}
    if database is not None:
        named["the ledger's database"] = database
    said = {
        name: f"{name} {reading.ahead_s * 1e3:+.0f} ms (± {reading.uncertainty_s * 1e3:.0f} ms)"
        for name, reading in named.items()
    }
    off = [
        said[name]
        for name, reading in named.items()
        if abs(reading.ahead_s) - reading.uncertainty_s > CLOCK_S
    ]
    if off:
        found = f"Clocks must agree within {CLOCK_S:g} s, found against this one: {', '.join(off)}."
        remedy = "Let all machines follow one time server: leases, stores' keys and logs need it."
        return [Finding("clocks", found, remedy)]
    return [Finding("clocks", f"Against this one: {', '.join(said.values())}.", is_well=True)]


def fullness(facts: Mapping[Node, Facts]) -> list[Finding]:
    """Whether memory and disks have room."""
    findings = []
    for node, each in facts.items():
        if each.free_memory_bytes < (1.0 - FULL) * each.memory_bytes:
            said = f"The memory of {label(node)} is more than {FULL:.0%} full."
            findings.append(Finding("room", said, "Ray ends cohorts there: end what else is."))
        if each.free_disk_bytes < (1.0 - FULL) * each.disk_bytes:
            said = f"The disk of {label(node)} is more than {FULL:.0%} full."
            findings.append(Finding("room", said, "Ray writes no more files there: make room."))
    return findings or [Finding("room", "Memory and disks have room everywhere.", is_well=True)]
