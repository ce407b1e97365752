"""What Prometheus is told of a server."""

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.board import STAGES, Standing

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts of one server's work, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "monosweep_http_requests",
            "Requests by route and status",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "monosweep_http_request_seconds",
            "Seconds until an answer began",
            ("method", "route"),
            registry=self._registry,
        )
        self._passes = Counter(
            "monosweep_reconciler_passes", "Passes of the reconciler", registry=self._registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            method: GET, POST, ...
            route: The path as ``/openapi.json`` has it: names would be without end.
            status: The answer's.
            seconds: Until it began.
        """
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def reconciled(self) -> None:
        """The reconciler went through the queue."""
        self._passes.inc()

    def text(self, standings: Iterable[Standing]) -> bytes:
        """All of it as Prometheus reads it, with where the sweeps stand now."""
        queue = _Queue(tuple(standings))
        registry = CollectorRegistry()
        registry.register(queue)
        return generate_latest(self._registry) + generate_latest(registry)


class _Queue(Collector):
    """What the ledger tells, also of what earlier servers did."""

    def __init__(self, standings: tuple[Standing, ...]) -> None:
        self._standings = standings

    def collect(self) -> Iterator[Metric]:
        """Sweeps by stage, drivers that were started."""
        stages: Mapping[str, int] = Counts(one.stage for one in self._standings)
        sweeps = GaugeMetricFamily("monosweep_sweeps", "Sweeps by stage", labels=("stage",))
        for stage in STAGES:
            sweeps.add_metric((stage,), stages.get(stage, 0))
        yield sweeps
        starts = sum(one.entry.num_starts for one in self._standings if one.entry)
        yield CounterMetricFamily(
            "monosweep_drivers_started", "Drivers started for the sweeps there are", value=starts
        )
