"""Certify: runs the acceptance suite over a source's streams, beside the agent, and signs."""

from collections.abc import Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.base import Source, StreamPlan
from connectors.check import product_of
from connectors.config import AgentConfig
from connectors.registry import find, preset_file
from kernel import canonical, clock
from kernel.errors import ConfigurationError
from pipeline.acceptance import PARTS, parts
from pipeline.candidate import Candidate, Wish
from pipeline.certificate import Certificate, Part
from pipeline.publish import read_key
from pipeline.rehearsal import GUEST
from pipeline.settings import environment
from pipeline.sources import connect, set_apart
from pipeline.trial import plan_of

_LEAST_WORDS = 3


def reasons(skips: Sequence[str]) -> dict[str, str]:
    """Read `part=reason`; whoever leaves a part out says why in a sentence."""
    told: dict[str, str] = {}
    for each in skips:
        part, _, reason = each.partition("=")
        if part not in PARTS:
            raise ConfigurationError(
                f"There is no part {part!r}.",
                where="--skip",
                cure=f"use one of {', '.join(PARTS)}.",
            )
        if len(reason.split()) < _LEAST_WORDS and len(reason) < 3 * _LEAST_WORDS:
            raise ConfigurationError(
                f"{reason!r} is no reason to leave out {part}.",
                where="--skip",
                cure='write a few words: --skip "soak=the press may be read for a minute only".',
            )
        told[part] = reason
    return told


def certify(
    config: AgentConfig, source: Source[object], wanted: Sequence[str], wish: Wish
) -> Certificate:
    """Try every part on a source's streams; nothing of the agent's own is touched."""
    started_at = clock.now()
    preset = find(source.preset)
    plans = [plan_of(source, each) for each in wanted] or list(preset.streams)
    found = [_tried(config, source, each, wish) for each in plans]
    key = read_key(config.key_file).public
    return Certificate(
        nplusx=metadata.version("nplusx"),
        agent=config.id,
        key_id=key.id,
        public_key=key.text,
        enterprise=config.enterprise,
        source=source.id,
        kind=preset.kind,
        preset=preset.id,
        preset_digest=canonical.digest(preset_file(source.preset).read_bytes()),
        streams=tuple(each.contract for each in plans),
        started_at=started_at,
        finished_at=clock.now(),
        parts=tuple(part for tried, _ in found for part in tried),
        product=next((said for _, said in found if said), ""),
    )


def _tried(
    config: AgentConfig, source: Source[object], plan: StreamPlan[object], wish: Wish
) -> tuple[list[Part], str]:
    """Try a stream; give what came of it, and what the source says that it is."""
    with TemporaryDirectory(prefix="nplusx-certify-") as name:
        folder = Path(name)
        looking = set_apart(config, folder)
        try:
            with closing(connect(looking, source.id, environment())) as connector:
                tried = list(parts(Candidate(config, source, plan, folder, wish, connector)))
                return tried, product_of(connector)
        finally:
            guest = set_apart(config, folder, GUEST)
            with closing(connect(guest, source.id, environment())) as connector:
                connector.leave(plan)
