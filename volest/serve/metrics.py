"""What Prometheus may ask: requests, loads, what waits."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name, registry = "volest", self.registry
        self.requests = Counter(f"{name}_requests", "Answers", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            f"{name}_request_seconds", "Time to the answer", ["route"], buckets=BUCKETS_S, registry=registry
        )
        self.loads = Counter(f"{name}_loads", "Loads stored", ["origin", "status"], registry=registry)
        self.events = Counter(f"{name}_events", "Documents of agents", ["kind", "outcome"], registry=registry)
        self.waiting = Gauge(f"{name}_waiting", "Tasks that wait for a worker or are with one", registry=registry)
        self.restarts = Gauge(f"{name}_worker_restarts", "Workers that died or took too long", registry=registry)
        self.listeners = Gauge(f"{name}_stream_listeners", "Clients of the stream", registry=registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
