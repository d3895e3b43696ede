"""A page about one restoration: one HTML file that needs no network and no other file."""

from __future__ import annotations

from bayesdip.report.page import PAGE, write_report

__all__ = ["PAGE", "write_report"]
