"""`nplusx promises` as a platform engineer runs it."""

import structlog
from typer.testing import CliRunner, Result

from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline import cli
from tests.pipeline.world import World, row

ORDER = "erp.sales_order.v1"


def nplusx(*words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), words)
    finally:
        # The command pointed the log to what the runner captured.
        structlog.reset_defaults()


def test_promises_lists_what_is_broken_until_somebody_takes_it_on(world: World) -> None:
    for order_id in ("SO1", "SO2"):
        for number in ("A", "B"):
            world.send(ORDER, row(ORDER, order_id=order_id, order_no=number))
    world.land()
    done = nplusx("promises")
    assert isinstance(done.exception, ChecksFailedError)
    listed, other = (line.split("\t") for line in done.output.splitlines()[1:3])
    assert (listed[1], other[1]) == ("open", "open")
    assert "order_id.version" in listed[2]
    taken = nplusx("doctor", "waive", listed[0], "--who", "auditor", "--why", "a slip")
    assert f"{listed[0]} " in taken.output
    # Who names one is told of that one.
    alone = nplusx("promises", listed[0][:12])
    assert alone.exception is None
    assert alone.output.splitlines()[1].split("\t")[:2] == [listed[0], "explained"]
    assert other[0] not in alone.output
    assert isinstance(nplusx("promises", other[0]).exception, ChecksFailedError)
    assert isinstance(nplusx("promises", "nothing").exception, ConfigurationError)
