"""A report for people and for programs."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.doctor.examination import Report
from service.doctor.finding import Finding
from service.doctor.room import Room
from service.verdict import Json

# A message may quote a library's, which has no full stop.
_ENDS = (".", "!", "?", ":")


def report_view(report: Report) -> Group:
    """A line for each finding, and what takes room."""
    lines: list[RenderableType] = [
        _line("mended", finding, finding.remedy, "green") for finding in report.mended
    ]
    lines += [Text(f"refused  {refusal}", style="red") for refusal in report.refused]
    lines += [finding_view(finding) for finding in report.findings]
    if report.room is not None:
        lines += [Text(), _room_table(report.room)]
    return Group(*lines)


def finding_view(finding: Finding) -> Text:
    """One line of what was found."""
    if finding.is_well:
        return _line("ok", finding, finding.remedy, "")
    said = f"With --fix: {finding.remedy}" if finding.mend is not None else finding.remedy
    return _line("wrong", finding, said, "yellow" if finding.mend is not None else "red")


def _line(word: str, finding: Finding, said: str, style: str) -> Text:
    ended = finding.message if finding.message.endswith(_ENDS) else f"{finding.message}."
    return Text(f"{word:7}  {finding.part:11}  {ended} {said}".rstrip(), style=style)


def _room_table(room: Room) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("takes room")
    table.add_column("MiB", justify="right")
    for name, size in room.by_part.items():
        table.add_row(name, _mebibytes(size))
    for name, size in room.by_sweep.items():
        table.add_row(f"files of {name}", _mebibytes(size), style="dim")
    return table


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.2f}"


def report_json(report: Report) -> Json:
    """The same as strict JSON."""
    room = report.room
    return {
        "is_well": report.is_well,
        "findings": [finding_json(finding) for finding in report.findings],
        "mended": [
            {"part": finding.part, "message": finding.message, "remedy": finding.remedy}
            for finding in report.mended
        ],
        "refused": list(report.refused),
        "bytes": None
        if room is None
        else {"by_part": dict(room.by_part), "by_sweep": dict(room.by_sweep)},
    }


def finding_json(finding: Finding) -> Json:
    """One of what was found."""
    return {
        "part": finding.part,
        "is_well": finding.is_well,
        "message": finding.message,
        "remedy": finding.remedy or None,
        "can_be_mended": finding.mend is not None,
    }
