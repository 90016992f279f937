"""The metrics for a scraper: with the token only, whoever is logged in."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from kernel.errors import ConfigurationError
from pipeline.settings import Settings, read_settings
from portal.app import metrics_token
from tests.pipeline.test_prometheus import parsed
from tests.portal.conftest import LogIn
from tests.portal.county import Visitor


def test_a_scraper_with_the_token_gets_metrics(portal: FastAPI, settings: Settings) -> None:
    token = (settings.state_dir / "keys/metrics.token").read_text("utf-8").strip()
    answer = Visitor(portal).get("/prometheus", authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert any(
        name == "nplusx_rows_total" and count for (name, _), count in parsed(answer.text).items()
    )


@pytest.mark.parametrize("shown", [None, "Bearer ", "Bearer wrong", "Basic x"])
def test_nobody_else_does(as_user: LogIn, shown: str | None) -> None:
    headers = {} if shown is None else {"authorization": shown}
    answer = as_user("engineer").get("/prometheus", **headers)
    assert (answer.status_code, answer.text) == (401, "")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_weak_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("short")
    monkeypatch.setenv("NPLUSX_PORTAL_METRICS_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(ConfigurationError, match="token of metrics"):
        metrics_token(read_settings())
