"""People, their roles and their API tokens, each change of them in the audit trail; of a token only a hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from dagster_project.contracts.roles import Member, Role
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import access_tokens, people, sessions
from dagster_project.ledger.transitions import write_audit

NAME_PATTERN = re.compile(r"[\w.@+-]{1,128}")
RESERVED_NAMES = re.compile(r"loop|run:.*", re.IGNORECASE)  # what the loop itself and its runs are called
TOKEN_PREFIX = "loop"
SHORTEST_VALIDITY = timedelta(minutes=1)
LONGEST_VALIDITY = timedelta(days=366)
USE_NOTED_EVERY = timedelta(minutes=5)
# 16 MB and some 50 ms a try; parameters as RFC 7914 recommends them for interactive use.
SCRYPT: dict[str, int] = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class AccessRefused(Exception):
    """A change of people or tokens that may not be made; nothing was changed."""


@dataclass(frozen=True)
class Proven:
    """Whose token it is, and which."""

    member: Member
    token_id: str


def is_sign_in_required(connection: Connection) -> bool:
    """Whether the ledger knows people: from the first one on, everybody has to say who they are."""
    return connection.execute(select(people.c.name).limit(1)).first() is not None


def member_of(connection: Connection, name: str) -> Member | None:
    """The person of that name, as they are in the ledger; None where there is none."""
    row = connection.execute(select(people).where(people.c.name == name)).first()
    return None if row is None else _member(row)


def _member(row: Row[Any]) -> Member:
    roles = frozenset(Role(role) for role in row.roles.split(","))
    return Member(name=row.name, roles=roles, owners=frozenset(json.loads(row.owners_json)))


def all_people(connection: Connection) -> list[Member]:
    return [_member(row) for row in connection.execute(select(people).order_by(people.c.name))]


def all_tokens(connection: Connection) -> Sequence[Row[Any]]:
    """Tokens without their hashes, the newest first."""
    shown = [column for column in access_tokens.c if column.name not in ("salt", "secret_hash")]
    return connection.execute(select(*shown).order_by(access_tokens.c.created_at.desc())).all()


def set_person(database: Database, name: str, roles: Iterable[Role], owners: Iterable[str], by: str) -> None:
    """Makes a person or changes their roles and owners.

    Raises AccessRefused for a name that the audit trail could not tell from another's, for no role at all, and where
    nobody would be left who may give access.
    """
    given, confined = sorted(set(roles)), sorted(set(owners))
    _check_name(name)
    if not given:
        raise AccessRefused(f"{name} needs a role: {', '.join(Role)}. Nothing was changed.")

    def work(connection: Connection) -> None:
        now = database.now()
        _check_no_namesake(connection, name)
        row = {"roles": ",".join(given), "owners_json": json.dumps(confined), "by": by, "changed_at": now}
        if not connection.execute(update(people).where(people.c.name == name).values(**row)).rowcount:
            connection.execute(insert(people), {"name": name, **row})
        _check_admin_left(connection)
        detail = f"{name}: {', '.join(given)}" + (f"; only signals of {', '.join(confined)}" if confined else "")
        write_audit(connection, [{"at": now, "actor": by, "verb": "person_set", "detail": detail}])

    database.write(work)


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name) or RESERVED_NAMES.fullmatch(name):
        raise AccessRefused(
            f"{name!r} is no name for a person: letters, digits and . @ + - _, at most 128, and not `loop` or `run:`. "
            "Nothing was changed."
        )


def _check_no_namesake(connection: Connection, name: str) -> None:
    """Ada and ada would be one person to a reader and two to the rule of four eyes."""
    query = select(people.c.name).where(func.lower(people.c.name) == name.lower(), people.c.name != name)
    if other := connection.execute(query).scalar():
        raise AccessRefused(f"there is {other!r} already; write the name so. Nothing was changed.")


def _check_admin_left(connection: Connection) -> None:
    everybody = all_people(connection)
    if everybody and not any(Role.ADMIN in one.roles and not one.is_confined for one in everybody):
        raise AccessRefused(
            "nobody would be left who may give access: keep one admin who is confined to no owner (make the admin "
            "first). Nothing was changed."
        )


def remove_person(database: Database, name: str, by: str) -> bool:
    """Takes a person out, with their tokens and sessions. False where there was none; raises AccessRefused for the last
    admin while there are others."""

    def work(connection: Connection) -> bool:
        now = database.now()
        if not connection.execute(delete(people).where(people.c.name == name)).rowcount:
            return False
        _check_admin_left(connection)
        open_ones = (access_tokens.c.person == name, access_tokens.c.revoked_at.is_(None))
        connection.execute(update(access_tokens).where(*open_ones).values(revoked_at=now))
        connection.execute(delete(sessions).where(sessions.c.person == name))
        write_audit(connection, [{"at": now, "actor": by, "verb": "person_removed", "detail": name}])
        return True

    return database.write(work)


def create_token(database: Database, person: str, label: str, valid_within: timedelta, by: str) -> str:
    """A new token of a person, told here once and never again.

    Parameters: the person's name; what the token is for; how long it is good; who makes it.
    Raises AccessRefused where the person is not known or the time is out of bounds.
    """
    if not SHORTEST_VALIDITY <= valid_within <= LONGEST_VALIDITY:
        raise AccessRefused(f"a token is good for at most {LONGEST_VALIDITY.days} days. Nothing was changed.")
    token_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)

    def work(connection: Connection) -> None:
        if member_of(connection, person) is None:
            raise AccessRefused(f"there is no person {person!r}; give them a role first. Nothing was changed.")
        now = database.now()
        row: dict[str, Any] = {"token_id": token_id, "person": person, "label": label[:128], "salt": salt, "by": by}
        row |= {"secret_hash": _hashed(secret, salt), "created_at": now, "expires_at": now + valid_within}
        connection.execute(insert(access_tokens), row)
        detail = f"{token_id} of {person}, good until {now + valid_within:%Y-%m-%d %H:%M} UTC"
        write_audit(connection, [{"at": now, "actor": by, "verb": "token_created", "detail": detail}])

    database.write(work)
    return f"{TOKEN_PREFIX}_{token_id}_{secret}"


def revoke_token(database: Database, token_id: str, by: str) -> bool:
    """Ends a token and the sessions that were begun with it. False where there is none, or it is ended already."""

    def work(connection: Connection) -> bool:
        now = database.now()
        open_one = (access_tokens.c.token_id == token_id, access_tokens.c.revoked_at.is_(None))
        if not connection.execute(update(access_tokens).where(*open_one).values(revoked_at=now)).rowcount:
            return False
        connection.execute(delete(sessions).where(sessions.c.token_id == token_id))
        write_audit(connection, [{"at": now, "actor": by, "verb": "token_revoked", "detail": token_id}])
        return True

    return database.write(work)


def prove(database: Database, token: str) -> Proven | None:
    """Whose token this is; None for one that is malformed, unknown, wrong, expired, revoked, or of nobody any more."""
    prefix, _, rest = token.strip().partition("_")
    token_id, _, secret = rest.partition("_")
    if prefix != TOKEN_PREFIX or not secret or len(token) > 200:
        return None
    with database.reading() as connection:
        row = connection.execute(select(access_tokens).where(access_tokens.c.token_id == token_id)).first()
        member = None if row is None else member_of(connection, row.person)
    if row is None or member is None or not is_good(row, database.now()):
        return None
    if not hmac.compare_digest(_hashed(secret, row.salt), row.secret_hash):
        return None
    _note_use(database, row)
    return Proven(member, token_id)


def is_good(token: Row[Any], now: datetime) -> bool:
    """Whether a token is neither revoked nor expired."""
    return token.revoked_at is None and token.expires_at > now


def _note_use(database: Database, row: Row[Any]) -> None:
    now = database.now()
    if row.used_at is None or now - row.used_at > USE_NOTED_EVERY:
        this = access_tokens.c.token_id == row.token_id
        database.write(lambda connection: connection.execute(update(access_tokens).where(this).values(used_at=now)))


def _hashed(secret: str, salt: str) -> str:
    return hashlib.scrypt(secret.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
