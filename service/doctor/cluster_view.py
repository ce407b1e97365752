"""A cluster's report for people and for programs."""

from dataclasses import asdict

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from service.doctor.cluster import ClusterReport
from service.doctor.nodes import label
from service.doctor.view import finding_json, finding_view
from service.verdict import Json

GIB = 2**30


def cluster_view(report: ClusterReport) -> Group:
    """A line for each finding, what the machines are, and what each thing costs."""
    return Group(
        *(finding_view(finding) for finding in report.findings),
        Text(),
        _machines(report),
        _costs(report),
    )


def _machines(report: ClusterReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("node", no_wrap=True)
    for name in ("CPUs", "GPUs", "memory GiB", "free", "objects GiB", "free disk GiB"):
        table.add_column(name, justify="right")
    table.add_column("processor")
    for node, facts in report.machines.items():
        table.add_row(
            f"{label(node)}{' head' if node.is_head else ''}",
            f"{node.num_cpus:g}",
            f"{node.num_gpus:g}",
            f"{facts.memory_bytes / GIB:.1f}",
            f"{facts.free_memory_bytes / GIB:.1f}",
            f"{node.object_store_bytes / GIB:.1f}",
            f"{facts.free_disk_bytes / GIB:.0f}",
            f"{facts.versions['processor']}{', bfloat16' if facts.has_bfloat16 else ''}",
        )
    return table


def _costs(report: ClusterReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("costs")
    table.add_column("from")
    table.add_column("ms", justify="right")
    for cost in report.costs:
        table.add_row(cost.what, cost.where, f"{cost.milliseconds:.1f}")
    return table


def cluster_json(report: ClusterReport) -> Json:
    """The same as strict JSON."""
    return {
        "is_well": report.is_well,
        "findings": [finding_json(finding) for finding in report.findings],
        "nodes": [
            {
                "host": node.host,
                "address": node.address,
                "is_head": node.is_head,
                "num_cpus": node.num_cpus,
                "num_gpus": node.num_gpus,
                "object_store_bytes": node.object_store_bytes,
                **asdict(facts),
            }
            for node, facts in report.machines.items()
        ],
        "costs": [
            {"what": cost.what, "from": cost.where, "milliseconds": cost.milliseconds}
            for cost in report.costs
        ],
    }
