"""The agent on the truck: sensors in, a ledger's entries kept on disk and delivered, none lost and none twice."""

from __future__ import annotations

from volest.edge.agent import run
from volest.edge.config import EdgeConfig, EdgeError
from volest.edge.event import ACK_SCHEMA, EVENT_SCHEMA
from volest.edge.outbox import Outbox, OutboxError

__all__ = ["ACK_SCHEMA", "EVENT_SCHEMA", "EdgeConfig", "EdgeError", "Outbox", "OutboxError", "run"]
