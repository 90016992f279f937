"""Moments as products write them: texts of many forms, numbers, and a zone of their own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.fields import Fields
from kernel.errors import ConfigurationError

ISO = "iso"
_PER_SECOND = {"seconds": 1, "milliseconds": 1000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moments:
    """How a product writes moments, and the zone that it means, if not the source's."""

    moment: str = ISO
    moment_zone: str = ""

    def _zone(self, source: str) -> ZoneInfo:
        return ZoneInfo(self.moment_zone or source)

    def read(self, text: str, zone: str) -> datetime:
        """Read a moment; one without a zone is in the product's."""
        if self.moment in _PER_SECOND and text.isdigit():
            return _EPOCH + timedelta(seconds=1) * int(text) / _PER_SECOND[self.moment]
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = datetime.strptime(text, self.moment).replace(tzinfo=self._zone(zone))
        return (found if found.tzinfo else found.replace(tzinfo=self._zone(zone))).astimezone(UTC)

    def write(self, moment: datetime | None, zone: str) -> str | int:
        """Write a moment as the product wants to be asked; none is long ago."""
        there = (moment or _EPOCH).astimezone(self._zone(zone))
        if self.moment in _PER_SECOND:
            return int((there - _EPOCH) / timedelta(seconds=1) * _PER_SECOND[self.moment])
        return there.isoformat() if self.moment == ISO else there.strftime(self.moment)


def moments_of(fields: Fields) -> Moments:
    """Read how a product writes moments."""
    zone = fields.text("moment_zone", "")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise ConfigurationError(
            f"{zone!r} is not a time zone.", cure="write a name such as UTC as `moment_zone`."
        ) from unknown
    return Moments(fields.text("moment", ISO), zone)
