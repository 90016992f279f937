"""A tap's catalog: what it offers, and the same narrowed to one stream."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from kernel.errors import ConfigurationError

FULL, CHANGES, LOG = "FULL_TABLE", "INCREMENTAL", "LOG_BASED"
Tree = dict[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream of a catalog."""

    said: Tree
    where: str

    @property
    def name(self) -> str:
        """Give the name that a preset writes."""
        return str(self.said.get("tap_stream_id") or self.said.get("stream"))

    @property
    def columns(self) -> dict[str, str]:
        """Name its columns, with their types as the tap writes them."""
        told = tree(tree(self.said.get("schema")).get("properties"))
        return {name: _kind(tree(each)) for name, each in told.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """Name the columns that tell rows apart, as far as the tap knows."""
        root = self._root()
        for found in (
            root.get("table-key-properties"),
            root.get("view-key-properties"),
            self.said.get("key_properties"),
        ):
            if isinstance(found, list) and found:
                return tuple(map(str, found))
        return ()

    @property
    def updated(self) -> str:
        """Name the column by which the tap finds changes, if it says one."""
        root = self._root()
        valid = root.get("valid-replication-keys")
        first = valid[0] if isinstance(valid, list) and valid else ""
        return str(root.get("replication-key") or self.said.get("replication_key") or first or "")

    def method(self, asked: str, updated: str) -> str:
        """Tell how the tap will find changes."""
        root = self._root()
        told = asked or root.get("forced-replication-method") or root.get("replication-method")
        told = told or self.said.get("replication_method") or (CHANGES if updated else FULL)
        return str(told).upper()

    def selected(self, method: str, updated: str, keys: tuple[str, ...]) -> Tree:
        """Give a catalog of this stream alone with all columns, as old and new taps read it."""
        root: Tree = {**self._root(), "selected": True, "replication-method": method}
        if updated and method == CHANGES:
            root["replication-key"] = updated
        if keys and not root.get("table-key-properties"):
            root["view-key-properties"] = list(keys)
        metadata = [{"breadcrumb": [], "metadata": root}]
        known = {tuple(path): facts for path, facts in _metadata(self.said) if path}
        for name in self.columns:
            facts = {**known.pop(("properties", name), {})}
            if facts.get("inclusion") != "unsupported":
                facts["selected"] = True
            metadata.append({"breadcrumb": ["properties", name], "metadata": facts})
        metadata += [{"breadcrumb": list(path), "metadata": each} for path, each in known.items()]
        said: Tree = {**self.said, "metadata": metadata, "replication_method": method}
        said["schema"] = {**tree(said.get("schema")), "selected": True}
        if updated and method == CHANGES:
            said["replication_key"] = updated
        return {"streams": [said]}

    def _root(self) -> Tree:
        return next((facts for path, facts in _metadata(self.said) if not path), {})


def entries(catalog: object, where: str) -> list[Entry]:
    """Read what a tap discovered."""
    told = tree(catalog).get("streams")
    if not isinstance(told, list):
        raise ConfigurationError(
            "The tap's catalog lists no streams.",
            where=where,
            cure="see what the program says with `--discover`: it must be a Singer tap.",
        )
    return [Entry(tree(each), where) for each in told]


def find(offered: list[Entry], name: str, where: str) -> Entry:
    """Give the stream of a name, or say which there are."""
    for each in offered:
        if name in (each.name, each.said.get("stream"), each.said.get("table_name")):
            return each
    names = [each.name for each in offered]
    near = get_close_matches(name, names, 3, 0.3) or names[:3]
    raise ConfigurationError(
        f"The tap has no stream {name}.",
        where=where,
        cure=f"let the user of the source see it, or name another: {', '.join(near) or 'none'}.",
    )


def require(entry: Entry, columns: tuple[str, ...]) -> None:
    """Complain of columns that a stream does not have."""
    missing = [each for each in columns if each not in entry.columns]
    if missing and entry.columns:
        raise ConfigurationError(
            f"The tap's stream {entry.name} has no {', '.join(missing)}.",
            where=entry.where,
            cure="check that the preset fits the product's version, and that its user may see all.",
        )


def _metadata(said: Tree) -> Iterator[tuple[list[str], Tree]]:
    told = said.get("metadata")
    for each in told if isinstance(told, list) else ():
        path = tree(each).get("breadcrumb")
        yield (
            [str(n) for n in path] if isinstance(path, list) else [],
            tree(tree(each).get("metadata")),
        )


def tree(value: object) -> Tree:
    """Take a value for a mapping; anything else is an empty one."""
    return {str(k): each for k, each in value.items()} if isinstance(value, Mapping) else {}


def _kind(schema: Tree) -> str:
    told = schema.get("type", "")
    kinds = [str(each) for each in told] if isinstance(told, list) else [str(told)]
    kind = "/".join(each for each in kinds if each != "null")
    return f"{kind} ({schema['format']})" if schema.get("format") else kind
