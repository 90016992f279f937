"""Reads what a service says of itself: its `$metadata`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from xml.etree.ElementTree import Element

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Xml

from connectors.odata.model import V2, V4, Entity, Service
from kernel.errors import ConfigurationError

_ANCESTORS = 10


def read(body: bytes, where: str) -> Service:
    """Read what a service says of itself."""
    try:
        root = Xml.fromstring(body)
    except (Xml.ParseError, DefusedXmlException, LookupError, ValueError) as wrong:
        raise ConfigurationError(
            f"The source's $metadata is no XML: {wrong}",
            where=where,
            cure="correct the source's `address`: it must be the service's own, up to its name.",
        ) from wrong
    version = V4 if root.get("Version", "").startswith("4") else V2
    types: dict[str, Element] = {}
    for schema in _inside(root, "Schema"):
        spaces = {schema.get("Namespace", ""), schema.get("Alias", "")}
        for each in _inside(schema, "EntityType"):
            types |= {f"{space}.{each.get('Name')}": each for space in spaces}
    found, tracking = {}, _tracking(root)
    for each in _inside(root, "EntitySet"):
        name, kind = each.get("Name", ""), each.get("EntityType", "")
        if name and kind in types:
            found[name] = replace(_entity(name, kind, types), tracks=name in tracking)
    return Service(version, found)


def _tracking(root: Element) -> set[str]:
    """Name the sets for which the service says that it tracks changes."""
    outside = [
        (each.get("Target", "").rpartition("/")[2], each) for each in _inside(root, "Annotations")
    ]
    inside = [(each.get("Name", ""), each) for each in _inside(root, "EntitySet")]
    return {
        name
        for name, told in (*outside, *inside)
        for term in _children(told, "Annotation")
        if term.get("Term", "").endswith("ChangeTracking")
        for value in _inside(term, "PropertyValue")
        if (value.get("Property"), value.get("Bool")) == ("Supported", "true")
    }


def _entity(name: str, kind: str, types: Mapping[str, Element]) -> Entity:
    keys: list[str] = []
    kinds: dict[str, str] = {}
    nullable, links = set(), []
    for told in _with_ancestors(kind, types):
        for key in _children(told, "Key"):
            keys += [each.get("Name", "") for each in _children(key, "PropertyRef")]
        for each in _children(told, "Property"):
            column = each.get("Name", "")
            kinds[column] = each.get("Type", "")
            if each.get("Nullable", "true").lower() != "false":
                nullable.add(column)
        links += [each.get("Name", "") for each in _children(told, "NavigationProperty")]
    return Entity(name, tuple(keys), kinds, frozenset(nullable - set(keys)), tuple(links))


def _with_ancestors(kind: str, types: Mapping[str, Element]) -> Iterator[Element]:
    for _ in range(_ANCESTORS):
        if kind not in types:
            return
        yield types[kind]
        kind = types[kind].get("BaseType", "")


def _children(element: Element, name: str) -> Iterator[Element]:
    return (each for each in element if each.tag.rpartition("}")[2] == name)


def _inside(element: Element, name: str) -> Iterator[Element]:
    # Each version has a namespace of its own, V2 three of them.
    return (each for each in element.iter() if str(each.tag).rpartition("}")[2] == name)
