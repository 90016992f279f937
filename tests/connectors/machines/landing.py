"""From a machine to a landed table: an agent's rounds, the bus in memory, the lander."""

from pathlib import Path

from bus.topics import topic_of
from connectors.config import load_agent
from contracts.loader import find
from pipeline.publish import Agent
from tests.pipeline.world import AGENTS, KEYS, World
from tests.rows import FACTORY


def agent_of(world: World, folder: Path, source: str, *contracts: str) -> Agent:
    """Make the factory's agent with one source, which is said as its file says it."""
    (folder / "agent.key").write_text(KEYS[FACTORY].text)
    file = folder / "machines.yaml"
    file.write_text(
        f"agent: {{id: {AGENTS[FACTORY]}, enterprise: {FACTORY}, key_file: agent.key, "
        f"outbox: machines.sqlite}}\nsources:\n{source}",
        "utf-8",
    )
    world.bus.ensure_topics([topic_of(find(each).id) for each in contracts])
    return Agent(load_agent(file), world.bus, world.settings)


def landed(world: World, contract: str) -> list[dict[str, object]]:
    """Land what waits and give the rows of a contract in the order of the bus."""
    world.land()
    table = world.store.open(find(contract).table).dataset().to_table()
    return [
        dict(row)
        for row in table.sort_by([("_sequence", "ascending"), ("_row", "ascending")]).to_pylist()
    ]
