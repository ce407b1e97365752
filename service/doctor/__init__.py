"""Looks a home over, says what is amiss, and mends what can be mended without losing anything."""

from service.doctor.examination import Report, examine, mend_all
from service.doctor.finding import Finding
from service.doctor.view import report_json, report_view

__all__ = ["Finding", "Report", "examine", "mend_all", "report_json", "report_view"]
