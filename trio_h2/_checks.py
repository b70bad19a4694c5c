"""What arguments and fields may be: the checks that every layer makes, and the facts behind them.

Nothing here knows Trio or a protocol engine, so that even the sans-IO layer may use it. A check returns what it has
checked, or raises `TypeError` or `ValueError` with the name of the argument in the message.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TypeGuard

NO_CONTENT: Final = frozenset((204, 205, 304))
"""RFC 9110 §15.3.5, §15.3.6 and §15.4.5: responses with one of these statuses never have content."""

CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." """

NOT_FOR_APPLICATIONS: Final = CONNECTION_SPECIFIC | {b"http2-settings"}
"""Fields that the connection manages and applications do not set: those, and HTTP2-Settings of RFC 7540."""


def is_int(value: object) -> TypeGuard[int]:
    """Whether *value* is an int; a bool, which Python takes for one, is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def takes(function: object, arguments: int) -> bool:
    """Whether *function* can be called with so many arguments, by position; of some, nobody can tell before."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]  # what cannot be called is a TypeError
    except (TypeError, ValueError):
        return callable(function)
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return False
    return True


def check_handler(handler: object) -> None:
    """Checks a stream handler, as far as that can be told without calling it."""
    if not callable(handler):
        raise TypeError(f"handler must be an async function, not {handler!r}")
    if not takes(handler, 1):
        hint = ""
        if takes(handler, 2):
            hint = ": trio_h2.compat.request_handler makes one of a function that takes a request and a response"
        raise TypeError(f"handler must take one argument, the stream, unlike {handler!r}{hint}")


def check_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """Checks a number in ``low..high``, both included; without *high*, one that is not less than *low*."""
    if not is_int(value):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if high is None:
        if value < low:
            raise ValueError(f"{name} must {f'be at least {low}' if low else 'not be negative'}, not {value}")
    elif not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, not {value}")
    return value


def check_networks(name: str, value: object, *words: str) -> tuple[str, ...]:
    """Checks networks and addresses of IP, in any iterable; *words* are allowed beside them."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of networks such as '10.0.0.0/8', not {value!r}")
    networks = tuple(value)
    for network in networks:
        if not isinstance(network, str):
            raise TypeError(f"{name} must hold text such as '10.0.0.0/8', not {network!r}")
        if network in words:
            continue
        try:
            ip_network(network)
        except ValueError as exc:
            raise ValueError(
                f"{name} must hold networks such as '10.0.0.0/8' or '::1', not {network!r}: {exc}"
            ) from exc
    return networks


def check_bool(name: str, value: object) -> bool:
    """Checks a flag: 0 and 1 are none."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def check_seconds(name: str, value: object, unit: str = "seconds") -> float:
    """Checks a timeout, or a rate if *unit* says so: more than 0, perhaps `math.inf`."""
    seconds = _number(name, value, unit)
    if not seconds > 0:  # refuses NaN, too
        raise ValueError(f"{name} must be more than 0 {unit} (math.inf turns it off), not {value}")
    return seconds


def check_timeout(name: str, value: object) -> float:
    """Checks a timeout that may be off: 0 and ``None`` say so, as `math.inf` does, which is returned for them."""
    if value is None:
        return math.inf
    seconds = _number(name, value, "seconds")
    if not seconds >= 0:  # refuses NaN, too
        raise ValueError(f"{name} must be 0 seconds or more (0 and None turn it off), not {value}")
    return seconds or math.inf


def check_hook(name: str, hook: object) -> None:
    """Checks a function that may be left out."""
    if hook is not None and not callable(hook):
        raise TypeError(f"{name} must be a function or None, not {hook!r}")


def check_grace(name: str, value: object) -> float:
    """Checks a time that something may take: 0 seconds or more, perhaps `math.inf`."""
    seconds = _number(name, value, "seconds")
    if not seconds >= 0:  # refuses NaN, too
        raise ValueError(f"{name} must be 0 seconds or more, not {value}")
    return seconds


def _number(name: str, value: object, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be {unit} as int or float, not {value!r}")
    return value


def view_of(name: str, value: bytes | bytearray | memoryview) -> memoryview:
    """Looks at bytes that an application has handed over, of any size: nothing is copied."""
    try:
        return memoryview(value)
    except TypeError:
        raise TypeError(f"{name} must be bytes-like, not {type(value).__name__}") from None


class Snapshot(bytes):
    """A copy of bytes that the application may change: it is ours, and counts as our memory."""

    __slots__ = ()


def snapshot_of(name: str, value: bytes | bytearray | memoryview) -> bytes:
    """Returns a body as it is now: `bytes` themselves, which cannot change, or a `Snapshot`."""
    return value if type(value) is bytes else Snapshot(view_of(name, value))


def bytes_of(name: str, value: object) -> bytes:
    """Copies a few bytes that an application has handed over, which it may change afterwards."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{name} must be bytes-like, not {value!r}")
    return bytes(value)
