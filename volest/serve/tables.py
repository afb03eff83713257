"""The tables of the service, as SQLAlchemy Core knows them; migrations/ makes them.

Times are whole microseconds since 1970, UTC, as in `volest.rows`; what is JSON is kept as text, the same in both
databases.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

__all__ = ["audit", "events", "jobs", "loads", "metadata", "tokens", "truck_versions", "trucks"]

# SQLite counts only what is called INTEGER.
Counted = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

trucks = Table(
    "trucks",
    metadata,
    Column("truck_id", String(200), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("registered_us", BigInteger, nullable=False),
    Column("told", Text, nullable=False),  # JSON: what `volest.serve.worker` says of the version
    Column("drift", Text),  # JSON, of the loads so far
    Column("drift_loads", Integer, nullable=False, server_default="0"),
    Column("health", Text),  # JSON: the latest document of its agent
    Column("health_us", BigInteger),
)
"""What is known of each truck now."""

truck_versions = Table(
    "truck_versions",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("truck_id", String(200), nullable=False, index=True),
    Column("created_us", BigInteger, nullable=False),
    Column("main", String(100), nullable=False),  # which of the files is the truck file
    Column("files", Text, nullable=False),  # JSON: name -> digest with suffix, as scans are kept
)
"""The files of each truck as they were when loads were measured with them."""

loads = Table(
    "loads",
    metadata,
    Column("seq", Counted, primary_key=True, autoincrement=True),  # the order of arrival, and of the stream
    Column("load_id", String(200), nullable=False, unique=True),
    Column("truck_id", String(200), nullable=False),
    Column("truck_version", String(64)),
    Column("time_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("origin", String(10), nullable=False),
    Column("sender", String(200), nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("ticket_code", String(32), nullable=False, unique=True),
    Column("status", String(10), nullable=False),
    Column("district", String(200)),
    Column("source", String(200)),
    Column("lat", Float),
    Column("lon", Float),
    Column("scans", Text, nullable=False),  # JSON: [sensor, digest with suffix] of each frame
    Column("result", Text, nullable=False),  # JSON, as the contract has it
    Column("row", Text, nullable=False),  # JSON, as `volest.rows` has it
    Index(None, "time_us", "seq"),
    Index(None, "truck_id", "time_us"),
    Index(None, "district", "time_us"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("truck_id", String(200), nullable=False),
    Column("truck_seq", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the document as it came
    Index(None, "truck_id", "received_us"),
)
"""What agents delivered, each document once."""

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("order", Text, nullable=False),  # JSON: what is to be done
    Column("problem", Text),
    Column("result", Text),
    Column("created_us", BigInteger, nullable=False),
    Column("sender", String(200), nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(10), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Counted, primary_key=True, autoincrement=True),
    Column("time_us", BigInteger, nullable=False, index=True),
    Column("who", String(200), nullable=False),
    Column("address", String(100), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(200), nullable=False),
    sqlite_autoincrement=True,
)
"""Who did what; only ever added to."""
