"""How to make a sweep again, and where its numbers are."""

from service.opened import OpenSweep
from service.report.section import Section, rendered


def again(sweep: OpenSweep) -> Section:
    """Commands that go on from here."""
    body = rendered("again.html", name=sweep.name, state=sweep.state)
    return Section("again", "How to repeat it", body)
