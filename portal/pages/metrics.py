"""Metrics: the industry brain's figures as charts, with formula and reference."""

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from kernel import canonical
from pipeline import wiring
from portal.access import enterprise_filter, only
from portal.view import language_of, render
from registry.people import User
from warehouse import metric
from warehouse.tables import SqlTable, metric_tables

router = APIRouter()
Reader = Annotated[User, Depends(only("platform", "factory", "auditor", "leader"))]


@router.get("/metrics")
def metrics(request: Request, user: Reader) -> Response:
    """Show each metric over time, a line per enterprise that the reader may see."""
    settings = request.app.state.settings
    store = wiring.store(settings)
    empty = metric.SCHEMA.empty_table()
    rows = store.open(metric.TABLE).dataset().to_table() if store.exists(metric.TABLE) else empty
    mine = enterprise_filter(user)
    if mine is not None:
        rows = rows.filter(pc.equal(rows["subject"], mine))
    names = {str(each.uscc): each.name for each in wiring.enterprises(settings).values()}
    language = language_of(request)
    charts = [_chart(each, rows, names, language) for each in metric_tables()]
    values = {"user": user, "charts": [chart for chart in charts if chart["rows"]]}
    return render(request, "metrics", values)


def _chart(
    table: SqlTable, rows: pa.Table, names: dict[str, str], language: str
) -> dict[str, object]:
    """Prepare one metric: the series for the chart and the same figures as a table."""
    identity = table.name.removeprefix("metric__")
    mine = rows.filter(pc.equal(rows["metric"], identity)).sort_by("period").to_pylist()
    periods = sorted({row["period"] for row in mine})
    subjects = sorted({row["subject"] for row in mine})
    values = {(row["subject"], row["period"]): float(row["value"]) for row in mine}
    series = [
        {
            "name": names.get(subject, subject),
            "values": [values.get((subject, period)) for period in periods],
        }
        for subject in subjects
    ]
    shown = [{**row, "name": names.get(row["subject"], row["subject"])} for row in mine]
    return {
        "id": identity,
        "title": table.title.zh if language == "zh" else table.title.en,
        "formula": table.formula,
        "reference": table.reference,
        "as_of": max((row["as_of"] for row in mine if row["as_of"]), default=None),
        "rows": shown,
        "data": canonical.dumps({"periods": periods, "series": series}).decode(),
    }
