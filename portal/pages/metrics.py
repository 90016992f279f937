"""Metrics: the industry brain's figures as charts, with formula and reference."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from kernel import canonical
from pipeline import wiring
from portal.access import enterprise_filter, only
from portal.view import language_of, render
from registry.kinds import Role
from registry.people import User
from warehouse import metric
from warehouse.tables import SqlTable, metric_tables

router = APIRouter()
Reader = Annotated[User, Depends(only(Role.PLATFORM, Role.FACTORY, Role.AUDITOR, Role.LEADER))]
# More lines than this nobody tells apart; the table has them all.
_MOST_LINES = 12
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@router.get("/metrics")
def metrics(request: Request, user: Reader) -> Response:
    """Show each metric over time, a line per enterprise that the reader may see."""
    settings = request.app.state.settings
    store = wiring.store(settings)
    mine = enterprise_filter(user)
    wanted = None if mine is None else pc.field("subject") == mine
    rows = metric.SCHEMA.empty_table()
    if store.exists(metric.TABLE):
        rows = store.open(metric.TABLE).dataset().to_table(filter=wanted)
    names = {str(each.uscc): each.name for each in wiring.enterprises(settings).values()}
    language = language_of(request)
    charts = [_chart(each, rows, names, language) for each in metric_tables()]
    values = {"user": user, "charts": [chart for chart in charts if chart["rows"]]}
    return render(request, "metrics", values)


def _chart(
    table: SqlTable, rows: pa.Table, names: Mapping[str, str], language: str
) -> dict[str, object]:
    """Prepare one metric: the series for the chart and the same figures as a table."""
    identity = table.name.removeprefix("metric__")
    order = [("subject", "ascending"), ("period", "ascending")]
    mine = rows.filter(pc.equal(rows["metric"], identity)).sort_by(order).to_pylist()
    periods = _without_gaps(sorted({row["period"] for row in mine}))
    subjects = list(dict.fromkeys(row["subject"] for row in mine))
    values = {(row["subject"], row["period"]): float(row["value"]) for row in mine}
    series = [
        {
            "name": names.get(subject, subject),
            "values": [values.get((subject, period)) for period in periods],
        }
        for subject in subjects[:_MOST_LINES]
    ]
    drawn = {"periods": periods, "series": series, "unit": table.unit}
    return {
        "id": identity,
        "title": table.title.zh if language == "zh" else table.title.en,
        "formula": table.formula,
        "reference": table.reference,
        "as_of": max((row["as_of"] for row in mine if row["as_of"]), default=None),
        "rows": [{**row, "name": names.get(row["subject"], row["subject"])} for row in mine],
        "drawn": len(series),
        "subjects": len(subjects),
        "data": canonical.dumps(drawn).decode(),
    }


def _without_gaps(periods: Sequence[str]) -> list[str]:
    """Add the months between that have no value: a gap must look like one."""
    if not periods or not all(_MONTH.fullmatch(each) for each in periods):
        return list(periods)
    first, last = (int(each[:4]) * 12 + int(each[5:]) - 1 for each in (periods[0], periods[-1]))
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]
