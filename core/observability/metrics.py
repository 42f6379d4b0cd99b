"""/metrics for Prometheus: how late the work is.

Answered before any other middleware, because Prometheus uses neither our host name nor https. The
text is written by hand: every figure comes from the database, so a client library would only add its
per-process counters and the pitfalls of its multiprocess mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core.change_origin import client_ip
from core.dashboard import DESK, Metric

PATH: Final = "/metrics"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Metrics:
    """Middleware: answer PATH before anything else runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != PATH:
            return self._get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return _text("Only GET is allowed.", 405)
        return metrics(request)


def metrics(request: HttpRequest) -> HttpResponse:
    """Serve the metrics in Prometheus' text format, to the networks in METRICS_ALLOW only."""
    if refusal := _refusal(request):
        return _text(refusal, 403)
    now = timezone.now()
    text = render(metric for provider in DESK.metrics for metric in provider(now))
    answer = HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")
    answer["Cache-Control"] = "no-store"
    return answer


def render(found: Iterable[Metric]) -> str:
    """Format metrics as Prometheus text."""
    lines = []
    for metric in found:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for sample in metric.samples:
            labels = ",".join(f'{k}="{v.translate(_ESCAPES)}"' for k, v in sample.labels.items())
            lines.append(f"{metric.name}{f'{{{labels}}}' if labels else ''} {sample.value:.10g}")
    return "\n".join(lines) + "\n"


def _refusal(request: HttpRequest) -> str:
    forwarded = {"X-Forwarded-For", "Forwarded"} & request.headers.keys()
    if not settings.TRUSTED_PROXY and any(request.headers.get(name) for name in forwarded):
        # Behind a proxy every client would seem to be on this machine, and be allowed.
        return (
            "This request came through a proxy. Set TRUSTED_PROXY=1, or query the server directly."
        )
    try:
        found = ip_address(client_ip(request) or "")
    except ValueError:
        return "Your address is unknown."
    address = getattr(found, "ipv4_mapped", None) or found
    if any(address in network for network in settings.METRICS_ALLOW):
        return ""
    return f"{address} isn't allowed to read the metrics. Add it to METRICS_ALLOW."


def _text(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)
