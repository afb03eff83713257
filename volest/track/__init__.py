"""A truck's day as a ledger: what was added where, how it settled, what was tipped and what stayed."""

from __future__ import annotations

from volest.track.day import Day, track_day
from volest.track.entry import Entry
from volest.track.ledger import Ledger, read_ledger
from volest.track.tare import DriftingTare, TareModel
from volest.track.tracker import Tracker
from volest.track.uncertain import Uncertain

__all__ = ["Day", "DriftingTare", "Entry", "Ledger", "TareModel", "Tracker", "Uncertain", "read_ledger", "track_day"]
