"""Figures, tables and a page from the results of many loads; docs/report.md."""

from volest.report.report import report

__all__ = ["report"]
