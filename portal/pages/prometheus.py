"""Prometheus: the metrics of the platform for a scraper that shows its token."""

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline import prometheus

router = APIRouter()


@router.get("/prometheus")
def scrape(request: Request) -> Response:
    """Give the metrics; a scraper has no session, and what it reads is of all enterprises."""
    shown = request.headers.get("authorization", "")
    expected = f"Bearer {request.app.state.metrics_token}"
    if not hmac.compare_digest(shown.encode(), expected.encode()):
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    text = prometheus.exposition(request.app.state.settings)
    return Response(text, media_type=prometheus.CONTENT_TYPE)
