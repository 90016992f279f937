"""Who signs and who may publish, as a pack holds them and as an auditor keeps them."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime

from kernel import canonical
from kernel.evidence import PublicKey
from kernel.ids import AgentId, EnterpriseId, KeyId
from pipeline.admission import Known
from pipeline.pack import mapping
from registry.keys import RegisteredKey
from registry.kinds import EnterpriseKind
from registry.people import Enterprise


def known_text(known: Known) -> bytes:
    """Write whom an auditor may believe: the agents' keys, and the enterprises that they are of."""
    signing = {key.enterprise for key in known.keys.values()}
    enterprises = [each for uscc, each in known.enterprises.items() if uscc in signing]
    return canonical.dumps(
        {
            "keys": _keys(known.keys.values()),
            "enterprises": {each.uscc: asdict(each) for each in enterprises},
        }
    )


def read_known(text: bytes) -> Known:
    """Read whom to believe, as an auditor keeps it."""
    held = mapping(canonical.loads(text))
    return Known(_read_keys(held["keys"]), _read_enterprises(held["enterprises"]))


def keys_text(keys: Iterable[RegisteredKey]) -> bytes:
    """Write agents' keys: whose each is, and when it counts."""
    return canonical.dumps(_keys(keys))


def _keys(keys: Iterable[RegisteredKey]) -> dict[str, object]:
    return {
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


def read_keys(text: bytes) -> Mapping[KeyId, RegisteredKey]:
    """Read agents' keys; an id is computed anew, so no key passes under another's name."""
    return _read_keys(canonical.loads(text))


def _read_keys(held_keys: object) -> Mapping[KeyId, RegisteredKey]:
    found = [
        RegisteredKey(
            PublicKey(base64.b64decode(str(held["public_key"]), validate=True)),
            AgentId(str(held["agent"])),
            EnterpriseId(str(held["enterprise"])),
            _instant(held["valid_from"]),
            _instant(held["valid_to"]) if held["valid_to"] else None,
            _instant(held["revoked_at"]) if held["revoked_at"] else None,
        )
        for held in map(mapping, mapping(held_keys).values())
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
    return _read_enterprises(canonical.loads(text))


def _read_enterprises(registered: object) -> Mapping[str, Enterprise]:
    return {
        uscc: Enterprise(
            EnterpriseId(uscc),
            str(held["name"]),
            EnterpriseKind(str(held["kind"])),
            str(held["region_code"]),
            str(held["industry_code"]),
            held["accepts_unsigned"] is True,
        )
        for uscc, each in mapping(registered).items()
        for held in [mapping(each)]
    }
