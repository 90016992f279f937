"""The one door to asyncua: a session with a server, values with their status and times."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from connectors.certificates import Identity, read_identity
from connectors.opcua_plan import Pace, Server
from connectors.wires.opcua_errors import plain
from connectors.wires.opcua_values import Sampled, sampled
from kernel import clock
from kernel.errors import ConfigurationError
from kernel.log import hush
from kernel.skew import Clock

hush("asyncua")

_CHUNK = 1000
_HISTORY_VALUES = 10_000
_KEEP_ALIVES = 10
_LIFETIME = 600
_HISTORY_NODES = 100
_SESSION_MS = 120_000
_DEPTH = 20
_LEAST_SILENCE = 10.0
_ASKED_AGAIN = 100
_PROPERTY = ua.NodeId(ua.Int32(ObjectIds.HasProperty))
_BUILD = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_BuildInfo))
_TIME = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime))
# Servers write it down now and then, not when they are asked.
_TIME_STEP = 1.0
# The library raises its own, the system's, and bare exceptions.
_FAILURES = (Exception,)

Take = Callable[[list[tuple[int, Sampled]], str], None]
"""Values, each by the place of its node; or the numbers of messages that are lost for good."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a server: its node by namespace URI, and the names that lead to it."""

    node: str
    path: str


class Session:
    """A session until it is lost; then another one is opened."""

    def __init__(self, client: Client, server: Server, namespaces: list[str]) -> None:
        self._client, self._server, self._namespaces = client, server, namespaces
        self.where = server.url
        self._heard = clock.monotonic()
        self._silence = math.inf
        self.lost = asyncio.Event()
        self.why = "the connection broke"

        async def on_loss(failed: Exception) -> None:
            self.lose(f"{type(failed).__name__} {failed}".strip())

        client.connection_lost_callback = on_loss

    @classmethod
    async def open(cls, server: Server) -> "Session":
        """Connect; say plainly why it cannot be done."""
        client = Client(server.url, timeout=server.timeout, watchdog_intervall=server.timeout)
        client.session_timeout = _SESSION_MS
        client.set_user(server.user)
        client.set_password(server.password)
        try:
            async with asyncio.timeout(server.timeout * 3):
                if server.identity:
                    await _secure(client, server.identity)
                await client.connect()
                return cls(client, server, await client.get_namespace_array())
        except BaseException as failed:
            # Half a session takes one of the few that a server grants.
            await _part(client, server.timeout)
            if isinstance(failed, _FAILURES):
                raise plain(failed, server.url) from failed
            raise

    async def close(self) -> None:
        """Say goodbye, if there is still somebody."""
        await _part(self._client, self._server.timeout)

    async def until_lost(self) -> None:
        """Wait until nothing can be heard any more."""
        while not self.lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lost.wait(), 1)
            if clock.monotonic() - self._heard > self._silence:
                self.lose("its subscription fell silent")

    async def clock(self) -> Clock:
        """Compare the server's clock with ours."""
        try:
            asked = clock.now()
            async with asyncio.timeout(self._server.timeout):
                told = await self._client.get_node(_TIME).read_value()
            told = told.replace(tzinfo=UTC)
            return Clock.between(asked, told, clock.now(), _TIME_STEP)
        except _FAILURES as failed:
            raise plain(failed, self._server.url) from failed

    async def product(self) -> str:
        """Ask the server what it is."""
        try:
            async with asyncio.timeout(self._server.timeout):
                told = await self._client.get_node(_BUILD).read_value()
                return f"{told.ProductName} {told.SoftwareVersion}"
        except _FAILURES as failed:
            raise plain(failed, self._server.url) from failed

    async def variables(self, start: str) -> list[Variable] | None:
        """List the variables below a node; nothing: the server has no such node."""
        root = self._node_id(start)
        if root is None:
            return None
        try:
            session = self._client.uaclient.session
            (found,) = await session.read_attributes([root], AttributeIds.NodeClass)
            if found.StatusCode and not found.StatusCode.is_good():
                return None
            return await self._walk(root)
        except _FAILURES as failed:
            raise plain(failed, self._server.url) from failed

    async def _walk(self, root: ua.NodeId) -> list[Variable]:
        """Go down level by level; a path is made of browse names without their namespaces."""
        level, seen, found = [(root, "")], {root}, list[Variable]()
        for _ in range(_DEPTH):
            deeper = []
            for at, child in await self._children([node for node, _ in level]):
                if child.NodeId in seen or child.ReferenceTypeId == _PROPERTY:
                    continue
                seen.add(child.NodeId)
                path = f"{level[at][1]}/{child.BrowseName.Name}".lstrip("/")
                if child.NodeClass == ua.NodeClass.Variable:
                    found.append(Variable(self._text_of(child.NodeId), path))
                deeper.append((child.NodeId, path))
            level = deeper
        return found

    async def _children(
        self, nodes: Sequence[ua.NodeId]
    ) -> list[tuple[int, ua.ReferenceDescription]]:
        """Browse a level; each child with the place of its parent."""
        session = self._client.uaclient.session
        found: list[tuple[int, ua.ReferenceDescription]] = []
        for first in range(0, len(nodes), _CHUNK):
            asked = ua.BrowseParameters(
                NodesToBrowse=[_down(node) for node in nodes[first : first + _CHUNK]]
            )
            for at, result in enumerate(await session.browse(asked), first):
                found += [(at, each) for each in result.References or ()]
                point = result.ContinuationPoint
                while point:
                    more = ua.BrowseNextParameters(ContinuationPoints=[point])
                    (rest,) = await session.browse_next(more)
                    found += [(at, each) for each in rest.References or ()]
                    point = rest.ContinuationPoint
        return found

    async def subscribe(self, nodes: Sequence[str], pace: Pace, take: Take) -> list[str]:
        """Have values sent, each with its node's place in the list; give what was refused."""
        try:
            return await self._subscribe(nodes, pace, take)
        except _FAILURES as failed:
            raise plain(failed, self._server.url) from failed

    async def _subscribe(self, nodes: Sequence[str], pace: Pace, take: Take) -> list[str]:
        session = self._client.uaclient.session
        asked = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=pace.publishing_ms,
            RequestedMaxKeepAliveCount=_KEEP_ALIVES,
            RequestedLifetimeCount=_LIFETIME,
        )
        listener = _Listener(self, take)
        made = await session.create_subscription(asked, listener.on_publish)
        listener.id = made.SubscriptionId
        interval = made.RevisedPublishingInterval * made.RevisedMaxKeepAliveCount / 1000
        self._heard = clock.monotonic()
        self._silence = max(min(self._silence, interval * 3), _LEAST_SILENCE)
        refused = []
        for first in range(0, len(nodes), _CHUNK):
            some = nodes[first : first + _CHUNK]
            items = [
                _item(self._known(node), handle, pace) for handle, node in enumerate(some, first)
            ]
            wanted = ua.CreateMonitoredItemsParameters(
                SubscriptionId=made.SubscriptionId,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=items,
            )
            results = await session.create_monitored_items(wanted)
            refused += [
                f"{node} ({result.StatusCode.name})"
                for node, result in zip(some, results, strict=True)
                if not result.StatusCode.is_good()
            ]
        return refused

    async def history(
        self, spans: Sequence[tuple[str, datetime]], until: datetime
    ) -> AsyncIterator[tuple[int, list[Sampled] | None]]:
        """Read page by page what the server kept of nodes, each by its place; nothing: none."""
        for first in range(0, len(spans), _HISTORY_NODES):
            some = spans[first : first + _HISTORY_NODES]
            unread, refused = set(range(len(some))), set[int]()
            try:
                session = self._client.uaclient.session
                nodes = [self._known(node) for node, _ in some]
                async for at, kept in self._history(nodes, min(t for _, t in some), until):
                    if kept is None:
                        refused.add(at)
                    elif kept:
                        unread.discard(at)
                        yield first + at, kept
                # Some answer for what they never recorded that nothing happened.
                records = await session.read_attributes(nodes, AttributeIds.Historizing)
                unread -= {at for at, each in enumerate(records) if each.Value and each.Value.Value}
            except UaStatusCodeError:
                unread = set(range(len(some)))
            except _FAILURES as failed:
                raise plain(failed, self.where) from failed
            for at in sorted(unread | refused):
                yield first + at, None

    async def _history(
        self, nodes: Sequence[ua.NodeId], since: datetime, until: datetime
    ) -> AsyncIterator[tuple[int, list[Sampled] | None]]:
        details = ua.ReadRawModifiedDetails(
            StartTime=since, EndTime=until, NumValuesPerNode=_HISTORY_VALUES, ReturnBounds=False
        )
        points: dict[int, bytes | None] = dict.fromkeys(range(len(nodes)))
        while points:
            asked = ua.HistoryReadParameters(
                HistoryReadDetails=details,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                NodesToRead=[
                    ua.HistoryReadValueId(NodeId=nodes[at], ContinuationPoint=point)
                    for at, point in points.items()
                ],
            )
            results = await self._client.uaclient.session.history_read(asked)
            self.heard()
            before, points = points, {}
            for at, result in zip(before, results, strict=True):
                if not result.StatusCode.is_good():
                    yield at, None
                    continue
                yield at, [sampled(e) for e in getattr(result.HistoryData, "DataValues", ())]
                if result.ContinuationPoint and result.ContinuationPoint != before[at]:
                    points[at] = result.ContinuationPoint

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard = clock.monotonic()

    def lose(self, why: str) -> None:
        """Give the session up."""
        self.why = why
        self.lost.set()

    async def republish(self, subscription: int, number: int) -> ua.NotificationMessage | None:
        """Ask again for a message that never came."""
        try:
            return await self._client.uaclient.session.republish(subscription, number)
        except _FAILURES:
            return None

    def _known(self, node: str) -> ua.NodeId:
        found = self._node_id(node)
        # A namespace may be gone since it was browsed; the server then refuses this one node.
        return found if found is not None else ua.NodeId()

    def _node_id(self, text: str) -> ua.NodeId | None:
        """Find a node by its namespace's URI: indexes change from one start to the next."""
        uri, _, rest = (
            text.removeprefix("nsu=").partition(";") if "nsu=" in text else ("", "", text)
        )
        if uri and uri not in self._namespaces:
            return None
        index = self._namespaces.index(uri) if uri else 0
        try:
            return ua.NodeId.from_string(f"ns={index};{rest}")
        except (UaError, ValueError) as wrong:
            raise ConfigurationError(
                f"{text!r} is not a node.",
                where=self._server.url,
                cure="write nsu=<namespace URI>;s=<name>, or i=<number> for the standard's own.",
            ) from wrong

    def _text_of(self, node: ua.NodeId) -> str:
        if not node.NamespaceIndex:
            return str(node.to_string())
        kind = str(node.to_string()).split(";", 1)[1]
        return f"nsu={self._namespaces[node.NamespaceIndex]};{kind}"


async def _part(client: Client, seconds: float) -> None:
    with suppress(*_FAILURES):
        async with asyncio.timeout(seconds):
            await client.disconnect()


async def _secure(client: Client, identity: Identity) -> None:
    papers = read_identity(identity)
    client.application_uri = papers.name
    # A server that cannot decrypt what it is sent says nothing at all: so look before.
    shown = [each.ServerCertificate for each in await client.connect_and_get_server_endpoints()]
    if not any((each or b"").startswith(papers.server_certificate) for each in shown):
        raise ConfigurationError(
            "The server shows another certificate than the one that it should have.",
            where=f"{client.server_url.geturl()}, {identity.server_certificate}",
            cure="if its owner confirms that it has a new one, name that as `server_certificate`.",
        )
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        papers.certificate,
        papers.private_key,
        server_certificate=papers.server_certificate,
    )


class _Listener:
    """Takes what one subscription publishes; the next is asked for when this was taken."""

    def __init__(self, session: Session, take: Take) -> None:
        self._session, self._take = session, take
        self.id = 0
        self._last = 0

    async def on_publish(self, published: ua.PublishResult) -> None:
        self._session.heard()
        message = published.NotificationMessage
        if not message.NotificationData:
            return
        number = int(message.SequenceNumber)
        # Before the first message, and after the numbers began anew, none is missing.
        missing = range(self._last + 1, number) if self._last else range(0)
        # No server keeps more, and each question waits for its answer.
        asked = missing[-_ASKED_AGAIN:]
        if len(asked) < len(missing):
            self._take([], f"{missing[0]} to {asked[0] - 1}")
        for each in asked:
            again = await self._session.republish(self.id, each)
            if again:
                self._give(again)
            else:
                self._take([], str(each))
        self._last = number
        self._give(message)
        self._session.heard()

    def _give(self, message: ua.NotificationMessage) -> None:
        for each in message.NotificationData or ():
            if isinstance(each, ua.DataChangeNotification):
                items = [(item.ClientHandle, sampled(item.Value)) for item in each.MonitoredItems]
                self._take(items, "")
            elif isinstance(each, ua.StatusChangeNotification):
                self._session.lose(f"the server ended the subscription ({each.Status.name})")


def _down(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
        IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
        ResultMask=ua.BrowseResultMask.All,
    )


def _item(node: ua.NodeId, handle: int, pace: Pace) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle,
            SamplingInterval=pace.sampling_ms,
            QueueSize=pace.queue_size,
            DiscardOldest=True,
        ),
    )
