"""Names of things: who, what and which stream; ids are content, never random."""

import re
from dataclasses import dataclass
from typing import NewType

from kernel.errors import ConfigurationError

EnterpriseId = NewType("EnterpriseId", str)
"""A legal person: its unified social credit code (USCC)."""
AgentId = NewType("AgentId", str)
"""One installation of ours at an enterprise."""
SourceId = NewType("SourceId", str)
"""One system that an agent reads."""
ContractId = NewType("ContractId", str)
"""`<system>.<entity>.v<major>`."""
StreamId = NewType("StreamId", str)
"""Enterprise, agent, source and contract: the key of a Kafka record."""
ClauseId = NewType("ClauseId", str)
"""`<programme>.<article and name>`."""
KeyId = NewType("KeyId", str)
"""Names a public key: the first sixteen hexadecimal digits of its digest."""

CONTRACT_ID = re.compile(r"[a-z][a-z0-9]*\.[a-z][a-z0-9_]*\.v[1-9][0-9]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

# GB 32100-2015: no I, O, S, V, Z; the last of eighteen characters checks the others.
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
USCC_LENGTH = 18


def uscc_check_character(first_seventeen: str) -> str:
    """Compute the check character of a unified social credit code."""
    total = sum(
        USCC_ALPHABET.index(character) * weight
        for character, weight in zip(first_seventeen, _USCC_WEIGHTS, strict=True)
    )
    return USCC_ALPHABET[(31 - total % 31) % 31]


def is_uscc(code: str) -> bool:
    """Tell whether a code is a well-formed unified social credit code."""
    return (
        len(code) == USCC_LENGTH
        and all(character in USCC_ALPHABET for character in code)
        and uscc_check_character(code[:-1]) == code[-1]
    )


def contract_id(text: str, where: str = "") -> ContractId:
    """Take a text as a contract id, or say what is wrong with it."""
    if not CONTRACT_ID.fullmatch(text):
        raise ConfigurationError(
            f"{text!r} is not a contract id.",
            where=where,
            cure="write <system>.<entity>.v<major>, such as erp.sales_order.v1.",
        )
    return ContractId(text)


def enterprise_id(text: str, where: str = "") -> EnterpriseId:
    """Take a text as an enterprise's credit code, or say what is wrong with it."""
    if not is_uscc(text):
        raise ConfigurationError(
            f"{text!r} is not a unified social credit code.",
            where=where,
            cure="copy the 18 characters from the business licence; the last checks the others.",
        )
    return EnterpriseId(text)


def is_name(text: str) -> bool:
    """Tell whether an agent or a source may be called so."""
    return _NAME.fullmatch(text) is not None


def agent_id(text: str, where: str = "") -> AgentId:
    """Take a text as an agent's name, or say what is wrong with it."""
    return AgentId(_name("agent", text, where))


def source_id(text: str, where: str = "") -> SourceId:
    """Take a text as a source's name, or say what is wrong with it."""
    return SourceId(_name("source", text, where))


def _name(kind: str, text: str, where: str = "") -> str:
    if not is_name(text):
        raise ConfigurationError(
            f"{text!r} is not a name for {kind}.",
            where=where,
            cure="use small letters, digits, - and _, at most 63 of them.",
        )
    return text


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows of one contract from one source read by one agent of one enterprise."""

    enterprise: EnterpriseId
    agent: AgentId
    source: SourceId
    contract: ContractId

    def __post_init__(self) -> None:
        _name("agent", self.agent)
        _name("source", self.source)

    @property
    def id(self) -> StreamId:
        """Join the four parts; none of them may hold a slash."""
        return StreamId(f"{self.enterprise}/{self.agent}/{self.source}/{self.contract}")
