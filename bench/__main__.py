"""`python -m bench [--only ID] [--size trial|small|full]`: measures, and keeps what it measured."""

import argparse
from collections.abc import Callable, Iterator

from bench import commits, edge, follow, forwarding, gate, landing, machines, reading
from bench.measures import SIZES, Measure, Size, keep

# What gives each figure; one way may give several.
_BENCHES: dict[str, Callable[[Size], Iterator[Measure]]] = {
    "land_arrow_vs_spark": landing.arrow_vs_spark,
    "land_arrow_vs_bound": landing.arrow_vs_bound,
    "land_json_vs_spark": landing.json_vs_spark,
    "land_json_vs_dlt": landing.json_vs_others,
    "land_json_vs_quix": landing.json_vs_others,
    "gate_vs_gx": gate.against_gx,
    "backlog_rss": landing.backlog,
    "backlog_growth": landing.backlog,
    "follow_latency": follow.latency,
    "small_commits": commits.small,
    "opcua_items": machines.items,
    "sql_vs_dlt": reading.against_others,
    "sql_vs_singer": reading.against_others,
    "sql_rss": reading.against_others,
    "outbox_to_kafka": forwarding.catch_up,
    "agent_idle": edge.idle,
    "agent_200_streams": edge.many_streams,
}


def main() -> None:
    """Measure one, or all of them."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(_BENCHES), help="one of them")
    parser.add_argument("--size", choices=SIZES, default="small")
    chosen = parser.parse_args()
    size = SIZES[chosen.size]
    wanted = [chosen.only] if chosen.only else list(_BENCHES)
    for bench in dict.fromkeys(_BENCHES[each] for each in wanted):
        for measure in bench(size):
            mark = "met" if measure.met else "NOT met"
            print(
                f"{measure.id}: {measure.value:,} {measure.unit}, goal {measure.goal}: {mark}",
                flush=True,
            )
            if measure.peer:
                print(f"  {measure.peer}; ratio {measure.ratio}")
            if chosen.size == "full":
                keep([measure])


if __name__ == "__main__":
    main()
