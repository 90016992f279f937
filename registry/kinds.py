"""Kinds of enterprises and of users: words that the command line needs without a database."""

from enum import StrEnum


class EnterpriseKind(StrEnum):
    """Who may publish what."""

    FACTORY = "factory"
    AUTHORITY = "authority"


class Role(StrEnum):
    """What a user may see and do."""

    PLATFORM = "platform"
    FACTORY = "factory"
    AUDITOR = "auditor"
    LEADER = "leader"
