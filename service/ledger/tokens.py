"""Who may use a server: bearer tokens, of which only a hash is kept.

A token has 256 random bits, so that a plain SHA-256 of it can be neither guessed nor reversed; what
a slow hash is for, short words that people think of, is never one.
"""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from sqlalchemy import Column, Engine, Float, String, Table, insert, select, update

from service.errors import TokenError
from service.ledger import audit, tables
from service.ledger.audit import Deed

Role = Literal["viewer", "submitter", "admin"]
# Each may do what those before it may.
ROLES: tuple[Role, ...] = get_args(Role)

# Tells people, and programs that look for secrets in code, what it is.
_PREFIX = "monosweep_"
_ID_BYTES = 6
_SECRET_BYTES = 32

tokens = Table(
    "monosweep_tokens",
    tables.metadata,
    # Part of the token, and no secret: by it the row is found, without comparing secrets.
    Column("token_id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)


@dataclass(frozen=True)
class Caller:
    """Who asks a server for something.

    Attributes:
        name: The token's name; owns what is submitted with it.
        role: What it may do.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether it may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class TokenRecord:
    """What is known of a token; not the token.

    Attributes:
        name: Its name.
        role: What it may do.
        created_at: Seconds since 1970, by the database's clock.
        revoked_at: The same, or None while it is good.
    """

    name: str
    role: Role
    created_at: float
    revoked_at: float | None


def create(engine: Engine, name: str, role: Role, deed: Deed | None = None) -> str:
    """Make a token; it is returned once and kept nowhere.

    Args:
        engine: The ledger's database.
        name: Whose it is.
        role: What it may do.
        deed: What the audit says of it, in the same transaction.

    Raises:
        TokenError: If there is a good one of that name.
    """
    token_id = secrets.token_hex(_ID_BYTES)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with tables.writing(engine) as connection:
        good = select(tokens.c.token_id).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
        if connection.scalar(good) is not None:
            raise TokenError(
                f"a token's name must be its own, found a good token named {name!r}. "
                f"Take another name, or revoke that one: monosweep token revoke {name}"
            )
        connection.execute(
            insert(tokens).values(
                token_id=token_id,
                name=name,
                role=role,
                hash=_hash(secret),
                created_at=tables.time_now(connection),
            )
        )
        if deed is not None:
            audit.add(connection, deed)
    return f"{_PREFIX}{token_id}_{secret}"


def revoke(engine: Engine, name: str, deed: Deed | None = None) -> None:
    """Let a token be good no more; from the next call on it is refused.

    Args:
        engine: The ledger's database.
        name: Whose.
        deed: As for ``create``.

    Raises:
        TokenError: If there is no good one of that name.
    """
    with tables.writing(engine) as connection:
        revoked = connection.execute(
            update(tokens)
            .where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
            .values(revoked_at=tables.time_now(connection))
        )
        if revoked.rowcount and deed is not None:
            audit.add(connection, deed)
    if not revoked.rowcount:
        good = [one.name for one in known(engine) if one.revoked_at is None]
        found = f"found only: {', '.join(good)}" if good else "found none at all"
        raise TokenError(f"there must be a good token named {name!r} to revoke, {found}.")


def known(engine: Engine) -> list[TokenRecord]:
    """Every token that was ever made, oldest first."""
    columns = (tokens.c.name, tokens.c.role, tokens.c.created_at, tokens.c.revoked_at)
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(tokens.c.created_at))
        return [TokenRecord(*row) for row in rows]


def caller(engine: Engine, token: str) -> Caller | None:
    """Whose token it is; None if it is nobody's, or revoked."""
    _, _, secret = token.removeprefix(_PREFIX).partition("_")
    with engine.connect() as connection:
        row = connection.execute(
            select(tokens).where(tokens.c.token_id == id_of(token), tokens.c.revoked_at.is_(None))
        ).one_or_none()
    # Compared also where there is none, so that the time it takes tells nobody which ids there are.
    is_same = hmac.compare_digest(_hash(secret), row.hash if row is not None else _hash(""))
    return Caller(row.name, row.role) if row is not None and is_same else None


def id_of(token: str) -> str:
    """The part of a token that names its row, and is no secret."""
    return token.removeprefix(_PREFIX).partition("_")[0]


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
