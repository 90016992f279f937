"""What a stream wants of a service, and how it is asked for."""

from dataclasses import dataclass

from connectors.odata.model import V4, Entity
from connectors.odata.place import Place
from connectors.odata.protocol import QUOTED, literal


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream reads, with what the service says of it."""

    version: int
    entity: Entity
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    updated: str
    expand: tuple[str, ...]
    # Whether the columns are named in the request: else all come.
    selects: bool
    tracks: bool
    quoted: bool

    @property
    def kind(self) -> str:
        """Give the type of the time of a change, as filters have it."""
        return QUOTED if self.quoted else self.entity.types.get(self.updated, "")

    @property
    def has_undated(self) -> bool:
        """Tell whether rows may have no moment."""
        return self.updated in self.entity.nullable

    def query(self, at: Place, page_rows: int) -> dict[str, str]:
        """Write the request for the rows at a place."""
        order = [self.updated, *self.keys] if self.updated and not at.undated else self.keys
        query = {"$orderby": ",".join(dict.fromkeys(order))}
        if self.selects:
            # In V4 what is expanded comes without being selected.
            linked = () if self.version == V4 else self.expand
            plain = [each for each in self.columns if each not in self.entity.links]
            query["$select"] = ",".join((*plain, *linked))
        if self.expand:
            query["$expand"] = ",".join(self.expand)
        if at.undated:
            query["$filter"] = f"{self.updated} eq null"
        elif at.since is not None:
            moment = literal(at.since, self.kind, self.version)
            query["$filter"] = f"{self.updated} {'gt' if at.beyond else 'ge'} {moment}"
        if not (self.tracks and at.is_start):
            # Of a part no changes can be tracked.
            query["$top"] = str(page_rows)
        if at.skip:
            query["$skip"] = str(at.skip)
        return query
