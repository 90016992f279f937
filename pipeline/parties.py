"""Who signs and who may publish, as a pack holds them and as an auditor keeps them."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime

from kernel import canonical
from kernel.evidence import PublicKey
from kernel.ids import AgentId, EnterpriseId, KeyId
from pipeline.pack import mapping
from registry.keys import RegisteredKey
from registry.people import Enterprise, EnterpriseKind


def keys_text(keys: Iterable[RegisteredKey]) -> bytes:
    """Write agents' keys: whose each is, and when it counts."""
    return canonical.dumps(
        {
            each.key.id: {
                "public_key": base64.b64encode(each.key.raw).decode(),
                "agent": each.agent,
                "enterprise": each.enterprise,
                "valid_from": each.valid_from,
                "valid_to": each.valid_to,
                "revoked_at": each.revoked_at,
            }
            for each in keys
        }
    )


def read_keys(text: bytes) -> Mapping[KeyId, RegisteredKey]:
    """Read agents' keys; an id is computed anew, so no key passes under another's name."""
    found = [
        RegisteredKey(
            PublicKey(base64.b64decode(str(held["public_key"]), validate=True)),
            AgentId(str(held["agent"])),
            EnterpriseId(str(held["enterprise"])),
            _instant(held["valid_from"]),
            _instant(held["valid_to"]) if held["valid_to"] else None,
            _instant(held["revoked_at"]) if held["revoked_at"] else None,
        )
        for held in map(mapping, mapping(canonical.loads(text)).values())
    ]
    return {each.key.id: each for each in found}


def _instant(value: object) -> datetime:
    found = datetime.fromisoformat(str(value))
    if found.tzinfo is None:
        raise ValueError(value)
    return found


def enterprises_text(enterprises: Iterable[Enterprise]) -> bytes:
    """Write how enterprises are registered: what each may publish, and whether unsigned."""
    return canonical.dumps({each.uscc: asdict(each) for each in enterprises})


def read_enterprises(text: bytes) -> Mapping[str, Enterprise]:
    """Read how enterprises are registered."""
    return {
        uscc: Enterprise(
            EnterpriseId(uscc),
            str(held["name"]),
            EnterpriseKind(str(held["kind"])),
            str(held["region_code"]),
            str(held["industry_code"]),
            held["accepts_unsigned"] is True,
        )
        for uscc, each in mapping(canonical.loads(text)).items()
        for held in [mapping(each)]
    }
