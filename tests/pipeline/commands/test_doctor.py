"""`nplusx promises` as a platform engineer runs it."""

import structlog
from typer.testing import CliRunner, Result

from kernel.errors import ChecksFailedError, ConfigurationError
from pipeline import cli
from tests.pipeline.world import World, row

ORDER = "erp.sales_order.v1"


def nplusx(*words: str) -> Result:
    try:
        return CliRunner().invoke(cli.assemble(), ["promises", *words])
    finally:
        # The command pointed the log to what the runner captured.
        structlog.reset_defaults()


def test_promises_lists_what_is_broken_until_somebody_takes_it_on(world: World) -> None:
    for number in ("A", "B"):
        world.send(ORDER, row(ORDER, order_no=number))
    world.land()
    done = nplusx()
    assert isinstance(done.exception, ChecksFailedError)
    listed = done.output.splitlines()[1].split("\t")
    assert listed[1] == "open"
    assert "order_id.version" in listed[2]
    assert isinstance(nplusx("--accept").exception, ConfigurationError)
    taken = nplusx("--accept", listed[0], "--who", "auditor", "--why", "a slip of the source")
    assert "settled\t1" in taken.output
    assert nplusx().exception is None
