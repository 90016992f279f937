"""Enterprises, and the users who act for them or for the county."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass, field

from sqlalchemy import select

from kernel.errors import ConfigurationError
from kernel.ids import EnterpriseId, enterprise_id
from registry.database import Registry
from registry.kinds import EnterpriseKind, Role
from registry.models import EnterpriseRow, UserRow

# OWASP's minimum for scrypt; the block size makes each trial cost 32 MiB of memory.
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3
_SALT_BYTES, _HASH_BYTES = 16, 32
_MEMORY = 2**27
_REGION = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Enterprise:
    """A legal person that the county knows."""

    uscc: EnterpriseId
    name: str
    kind: EnterpriseKind
    region_code: str
    industry_code: str
    accepts_unsigned: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in; `repr` never shows the hash."""

    username: str
    password_hash: str = field(repr=False)
    role: Role
    enterprise_uscc: EnterpriseId | None


def save_enterprise(registry: Registry, enterprise: Enterprise) -> None:
    """Register an enterprise, or correct what is registered."""
    enterprise_id(enterprise.uscc)
    if not enterprise.name.strip() or not enterprise.name.isprintable():
        raise ConfigurationError(
            f"{enterprise.name!r} is no name.", cure="write the name that stands on the licence."
        )
    if not _REGION.fullmatch(enterprise.region_code):
        raise ConfigurationError(
            f"{enterprise.region_code!r} is no region code.",
            cure="write the six digits of GB/T 2260, such as 330523.",
        )
    registry.save(EnterpriseRow, asdict(enterprise))


def enterprises(registry: Registry) -> dict[str, Enterprise]:
    """List the enterprises by their codes."""
    with registry.reading() as session:
        rows = session.scalars(select(EnterpriseRow).order_by(EnterpriseRow.uscc))
        return {
            row.uscc: Enterprise(
                EnterpriseId(row.uscc),
                row.name,
                EnterpriseKind(row.kind),
                row.region_code,
                row.industry_code,
                row.accepts_unsigned,
            )
            for row in rows
        }


def save_user(registry: Registry, user: User) -> None:
    """Register a user, or replace role and password."""
    registry.save(UserRow, asdict(user))


def find_user(registry: Registry, username: str) -> User | None:
    """Find a user by name."""
    with registry.reading() as session:
        row = session.get(UserRow, username)
        if row is None:
            return None
        enterprise = EnterpriseId(row.enterprise_uscc) if row.enterprise_uscc else None
        return User(row.username, row.password_hash, Role(row.role), enterprise)


def hash_password(password: str) -> str:
    """Hash a password slowly, with its own salt; the costs stand in the hash."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return _written(salt, _scrypt(password, salt, (_COST, _BLOCK, _PARALLEL)))


def check_password(user: User | None, password: str) -> bool:
    """Compare a password with a user's; for nobody it costs the same time and is never right."""
    stored = user.password_hash if user else _written(bytes(_SALT_BYTES), bytes(_HASH_BYTES))
    try:
        name, cost, block, parallel, salt, expected = stored.split("$")
        costs = (int(cost), int(block), int(parallel))
        found = _scrypt(password, base64.b64decode(salt, validate=True), costs)
        is_equal = hmac.compare_digest(found, base64.b64decode(expected, validate=True))
    except ValueError:
        return False
    return user is not None and name == "scrypt" and is_equal


def _scrypt(password: str, salt: bytes, costs: tuple[int, int, int]) -> bytes:
    cost, block, parallel = costs
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=block,
        p=parallel,
        maxmem=_MEMORY,
        dklen=_HASH_BYTES,
    )


def _written(salt: bytes, hashed: bytes) -> str:
    texts = (base64.b64encode(each).decode() for each in (salt, hashed))
    return "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), *texts))
