"""What the server counts, for Prometheus: requests, their time, batches, faces, who waits. Never what was in a picture.

Leaves out: keeping them; they start at zero with the process. Each server has its own registry.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mien.faces import Photo
from mien.web.concurrency import ConcurrencyLimiter

__all__ = ["MEDIA_TYPE", "Metrics"]

#: Of Prometheus' text format, as :meth:`Metrics.text` writes it.
MEDIA_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCHES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one server."""

    def __init__(self, limiter: ConcurrencyLimiter) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("mien_requests", "Requests answered.", ("route", "status"), registry=self.registry)
        self._seconds = Histogram(
            "mien_request_seconds", "From head to answer.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._batches = Histogram(
            "mien_batch_pictures",
            "Pictures whose faces went through the network together.",
            buckets=_BATCHES,
            registry=self.registry,
        )
        self._photos = Counter("mien_photos", "Pictures by outcome.", ("outcome",), registry=self.registry)
        self._faces = Counter("mien_faces", "Faces answered.", registry=self.registry)
        waiting = Gauge("mien_requests_waiting", "Prediction requests whose body is there.", registry=self.registry)
        waiting.set_function(lambda: limiter.waiting)
        arriving = Gauge("mien_bodies_arriving", "Prediction requests being sent.", registry=self.registry)
        arriving.set_function(lambda: limiter.arriving)
        held = Gauge("mien_held_bytes", "Bytes of bodies that are held in memory.", registry=self.registry)
        held.set_function(lambda: limiter.bytes)

    def request(self, route: str, status: int, seconds: float) -> None:
        """One answer; ``route`` is one of the server's own paths, never what a client made up."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, pictures: int) -> None:
        """One run of the network over the faces of so many pictures."""
        self._batches.observe(pictures)

    def photo(self, photo: Photo) -> None:
        """One picture that was answered."""
        self._photos.labels(photo.outcome).inc()
        self._faces.inc(len(photo))

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
