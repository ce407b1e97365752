"""Browsers that somebody logged in from, by a token: short-lived, and worth nothing without it.

A session's secret is not the token, so that what a browser keeps opens the pages only, for some
hours; it ends with its token. Of its 256 random bits only a hash is kept, by which the row is
found: how long that takes says something of hashes, from which no secret can be told.
"""

import secrets
from hashlib import sha256

from sqlalchemy import Column, Engine, Float, ForeignKey, String, Table, delete, insert, select

from service.ledger import tables, tokens
from service.ledger.tokens import Caller

# A working day: the token is asked for again on the next one.
LIFETIME_S = 12 * 3600
_SECRET_BYTES = 32

sessions = Table(
    "monosweep_sessions",
    tables.metadata,
    Column("hash", String(64), primary_key=True),
    Column("token_id", ForeignKey("monosweep_tokens.token_id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Float, nullable=False),
)


def begin(engine: Engine, token: str) -> tuple[str, Caller] | None:
    """Begin a session for whoever bears a good token, and forget those that are over.

    Returns:
        The session's secret, returned once and kept nowhere, and whose it is; None if the token is
        nobody's, or revoked.
    """
    caller = tokens.caller(engine, token)
    if caller is None:
        return None
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with tables.writing(engine) as connection:
        now = tables.time_now(connection)
        connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
        connection.execute(
            insert(sessions).values(
                hash=_hash(secret), token_id=tokens.id_of(token), expires_at=now + LIFETIME_S
            )
        )
    return secret, caller


def caller(engine: Engine, secret: str) -> Caller | None:
    """Whose session it is; None if it is nobody's, over, or its token was revoked."""
    known = tokens.tokens.c
    with engine.connect() as connection:
        row = connection.execute(
            select(known.name, known.role)
            .join(sessions, sessions.c.token_id == known.token_id)
            .where(
                sessions.c.hash == _hash(secret),
                sessions.c.expires_at > tables.time_now(connection),
                known.revoked_at.is_(None),
            )
        ).one_or_none()
    return Caller(row.name, row.role) if row is not None else None


def end(engine: Engine, secret: str) -> None:
    """End a session; nothing if it is over."""
    with tables.writing(engine) as connection:
        connection.execute(delete(sessions).where(sessions.c.hash == _hash(secret)))


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
