"""Formats metrics as text, in the format that the client prefers: Prometheus or OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from contentq.errors import ContentQueueError
from contentq.metrics.samples import Histogram, Samples

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


def require_client() -> None:
    """Raises ContentQueueError if the extra metrics is not installed."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        raise ContentQueueError(
            "the package prometheus-client is not installed; install it with: pip install 'contentq[metrics]'"
        ) from None


class Exposition:
    """Formats the metrics of read() and of this process (process_cpu_seconds_total and so on)."""

    def __init__(self, read: Callable[[], Samples]) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._read = read
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str | None) -> tuple[str, bytes]:
        """Returns (content type, text). accept: the Accept header of the request."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept or "")
        return content_type, encode(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The interface of a prometheus_client collector."""
        return _metrics(self._read())

    def describe(self) -> list[Metric]:
        """Returns nothing, so that prometheus_client does not collect when it registers the collector."""
        return []


def _metrics(samples: Samples) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    for family, values in samples:
        metric: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
        if family.kind == "counter":
            metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
        elif family.kind == "gauge":
            metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
        else:
            metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in values.items():
            if isinstance(value, Histogram):
                assert isinstance(metric, HistogramMetricFamily)
                metric.add_metric(labels, value.cumulative(), value.total)
            else:
                assert isinstance(metric, CounterMetricFamily | GaugeMetricFamily)
                metric.add_metric(labels, value)
        yield metric
