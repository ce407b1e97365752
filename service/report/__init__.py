"""A sweep's story on one HTML page that needs nothing else: the question, the answer, the evidence.

Made from the ledger and the storage alone, at any time; the same sweep gives the same page.
"""

from service.report.story import page
from service.report.writing import write_report

__all__ = ["page", "write_report"]
