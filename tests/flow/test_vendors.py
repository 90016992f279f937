"""The page for vendors is played from its own text: two foreign clients, one broker."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.kafka import KafkaBus
from contracts.loader import find
from pipeline import wiring
from pipeline.settings import ROOT, read_settings
from tests.broker import Broker, jars, running_broker
from warehouse import attempts, quarantine

pytestmark = [pytest.mark.kafka, pytest.mark.real_system]
PAGE = (ROOT / "docs/vendors.md").read_text("utf-8")
FILES = dict(re.findall(r"`([\w.]+)`[^`]*?:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "kafka"
    folder.mkdir()
    with running_broker(folder) as started:
        yield started


def test_rows_of_foreign_clients_land_by_the_page(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(FILES) == {"payments.txt", "send.py"}
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shim = tmp_path / "bin" / "kafka-console-producer.sh"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nexec java -cp "{jars()}/*" org.apache.kafka.tools.ConsoleProducer "$@"\n',
        encoding="utf-8",
    )
    shim.chmod(0o755)
    variables = {
        "NPLUSX_STATE_DIR": str(tmp_path / "state"),
        "NPLUSX_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
    }
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    bus = KafkaBus(broker.bootstrap, 2, 1, 15.0)
    bus.ensure_topics(["nplusx.erp.payment.v1"])
    bus.close()
    path = f"{shim.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for script in SCRIPTS:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", script],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, **variables, "BROKER": broker.bootstrap, "PATH": path}, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    store = wiring.store(read_settings())
    rows = store.open(find("erp.payment.v1").table).dataset().to_table().to_pylist()
    assert {(row["payment_id"], row["_stream"].split("/")[1]) for row in rows} == {
        ("PAY1", "pc1"), ("PAY2", "pc2"),
    }  # fmt: skip
    assert [str(row["paid_amount"]) for row in rows if row["payment_id"] == "PAY2"] == ["99.90"]
    (held,) = attempts.quarantined(store, quarantine.SCHEMA).to_pylist()
    assert held["reasons"] == ["payee_uscc.format"]
