"""Figures, tables and a page from the results of many loads; docs/report.md."""

from volest.report.report import report
from volest.report.summary import summaries

__all__ = ["report", "summaries"]
