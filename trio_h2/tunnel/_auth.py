"""Basic authentication towards a proxy (RFC 9110 §11.7, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import trio_h2

CredentialCheck: TypeAlias = Callable[[str, str], bool | Awaitable[bool]]
"""Gets user name and password, and returns whether they are right; may be an async function."""

CHALLENGE: Final = 'Basic realm="{}", charset="UTF-8"'


def checker(authenticate: Mapping[str, str] | CredentialCheck | None) -> CredentialCheck | None:
    """Returns what checks credentials, ``None`` if nobody needs any.

    Raises:
        TypeError: *authenticate* is neither a mapping of user names to passwords nor a function.
    """
    if authenticate is None:
        return None
    if isinstance(authenticate, Mapping):
        passwords = dict(authenticate)
        if not all(isinstance(text, str) for pair in passwords.items() for text in pair):
            raise TypeError("authenticate must map user names to passwords, both of them str")
        if any(":" in user for user in passwords):  # RFC 7617 §2: "a user-id containing a colon character is invalid"
            raise ValueError("a user name cannot have a colon in it")
        return lambda user, password: _is_password(passwords, user, password)
    if callable(authenticate):
        return authenticate
    raise TypeError(f"authenticate must be a mapping or a function, not {type(authenticate).__name__}")


def _is_password(passwords: Mapping[str, str], user: str, password: str) -> bool:
    """Compares in a time that tells neither where a password differs nor how long it is, nor whether there is one."""
    known = passwords.get(user)
    same = hmac.compare_digest(_digest(known or ""), _digest(password))
    return same and known is not None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def is_authentic(headers: trio_h2.Headers, check: CredentialCheck) -> bool:
    """Whether a request has the credentials that *check* wants. Runs user code, and raises what that raises."""
    found = credentials_of(headers)
    if found is None:
        return False
    answer = check(*found)
    return bool(await answer) if inspect.isawaitable(answer) else bool(answer)


def credentials_of(headers: trio_h2.Headers) -> tuple[str, str] | None:
    """Returns user name and password of a request; ``None`` if it has none, or several, or something else."""
    given = headers.get_all("proxy-authorization")
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(" ").encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def basic_credentials(user: str, password: str) -> str:
    """Returns the value of ``proxy-authorization``.

    Raises:
        ValueError: the user name has a colon in it.
    """
    if ":" in user:
        raise ValueError("a user name cannot have a colon in it")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
