"""What the folders hold: presets of products, kinds of protocols."""

from functools import cache
from pathlib import Path

from connectors import kinds
from connectors.base import Connector, Kind, Preset, Source, StreamPlan
from connectors.fields import Fields
from kernel import yaml
from kernel.errors import ConfigurationError
from kernel.ids import contract_id
from kernel.registry import files_in, module_in, names_in

FOLDER = Path(__file__).parent / "presets"
OWN = ".yaml"


@cache
def all_connectors() -> dict[str, Preset]:
    """Give every preset by its id, which is its file's name."""
    return {name: find(name) for name in _names()}


def preset_file(name: str) -> Path:
    """Name the file of a preset."""
    return Path(name) if name.endswith(OWN) else FOLDER / f"{name}{OWN}"


def find(name: str) -> Preset:
    """Give a preset, or say which there are; a factory's own is the path of its file."""
    if name.endswith(OWN):
        return _read(Path(name))
    known = _names()
    if name not in known:
        raise ConfigurationError(
            f"There is no preset {name!r}.",
            cure=f"use one of {', '.join(known)}; or write your own and give its file's name, "
            f"which ends in {OWN}.",
        )
    return _read(known[name])


def _names() -> dict[str, Path]:
    return {path.stem: path for path in files_in(FOLDER, "*.yaml")}


@cache
def _read(path: Path) -> Preset:
    # An agent reads its own preset alone: others would load the libraries of their kinds.
    return read_preset(path)


def read_preset(path: Path) -> Preset:
    """Read a preset's file."""
    top = Fields(yaml.load_mapping(path), path)
    title, name = top.section("title"), top.text("kind")
    kind = _kind(name, f"preset {path.stem}")
    preset = Preset(
        id=path.stem,
        title_zh=title.text("zh"),
        title_en=title.text("en"),
        kind=name,
        proof=top.text("proof"),
        streams=tuple(_plan(each, kind) for each in top.sections("streams", usual="every")),
    )
    top.done()
    title.done()
    return preset


def _plan(fields: Fields, kind: Kind) -> StreamPlan[object]:
    plan = StreamPlan(
        contract=contract_id(fields.text("contract")),
        version=fields.text("version"),
        mapping=fields.text("mapping"),
        how=kind.stream_of(fields),
    )
    fields.done()
    return plan


def _kind(name: str, where: str) -> Kind:
    known = names_in(kinds)
    if name not in known:
        raise ConfigurationError(
            f"There is no kind of connector called {name!r}.",
            where=where,
            cure=f"use one of {', '.join(known)}.",
        )
    kind: Kind = module_in(kinds, name)
    return kind


def kind_of(preset: Preset) -> Kind:
    """Give the protocol that a preset's product speaks."""
    return _kind(preset.kind, f"preset {preset.id}")


def open_source(source: Source[object]) -> Connector[object]:
    """Get ready to read a source by its preset's protocol."""
    return kind_of(find(source.preset)).open_source(source)
