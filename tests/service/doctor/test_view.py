import io

from rich.console import Console

from service.doctor.examination import Report
from service.doctor.finding import Finding
from service.doctor.view import report_view


def shown(*findings: Finding) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=80).print(report_view(Report(findings)), soft_wrap=True)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_message_and_its_remedy_are_sentences_of_their_own() -> None:
    assert shown(
        Finding("ledger", "database disk image is malformed", "Put back a copy."),
        Finding("tracking", "MLflow has no summary", "Makes it.", lambda: None),
        Finding("storage", "No table is missing.", is_well=True),
    ) == [
        "wrong    ledger       database disk image is malformed. Put back a copy.",
        "wrong    tracking     MLflow has no summary. With --fix: Makes it.",
        "ok       storage      No table is missing.",
    ]
