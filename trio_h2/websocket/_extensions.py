"""The field ``sec-websocket-extensions``, and what two sides agree on by it (RFC 6455 §9.1, RFC 7692 §7.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._config import Deflate

Extension: TypeAlias = tuple[str, list[tuple[str, str | None]]]
"""Its name, and its parameters in order."""

NAME: Final = "permessage-deflate"
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Two runs of white space stand never side by side: each way to divide one between them would be tried.
_PIECE: Final = re.compile(rf'\s*({_TOKEN})\s*(?:=\s*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")\s*)?([;,]|$)')
_BITS: Final = re.compile(r"8|9|1[0-5]")  # RFC 7692 §7.1.2.1: "a decimal integer value without leading zeroes"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How both sides compress."""

    send_bits: int = 15
    send_takeover: bool = True
    receive_bits: int = 15
    receive_takeover: bool = True

    @property
    def can_compress(self) -> bool:
        """Whether what is sent can be compressed: zlib knows no window of 8 bits, and nobody must compress."""
        return self.send_bits >= 9


def parse_extensions(values: Iterable[str]) -> list[Extension]:
    """Returns the extensions that the values of the field name, in order, with their parameters.

    Raises:
        ValueError: it is not spelled as it must be.
    """
    found: list[Extension] = []
    for value in values:
        position = 0
        current: list[tuple[str, str | None]] | None = None
        while position < len(value):
            piece = _PIECE.match(value, position)
            if piece is None:
                raise ValueError(f"sec-websocket-extensions is malformed: {value[:64]!r}")
            name, token, quoted, separator = piece.groups()
            argument = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            position = piece.end()
            if separator and position == len(value):
                raise ValueError(f"sec-websocket-extensions is malformed: {value[:64]!r}")
            if current is None:
                if argument is not None:
                    raise ValueError(f"sec-websocket-extensions is malformed: {value[:64]!r}")
                current = []
                found.append((name.lower(), current))
            else:
                current.append((name, argument))
            if separator == ",":
                current = None
    return found


def offer(deflate: Deflate) -> str:
    """Returns what a client offers."""
    parts = [NAME]
    if not deflate.context_takeover:
        parts += ["server_no_context_takeover", "client_no_context_takeover"]
    if deflate.max_window_bits < 15:
        parts.append(f"server_max_window_bits={deflate.max_window_bits}")
    parts.append("client_max_window_bits")
    return "; ".join(parts)


def accept(deflate: Deflate, offers: Iterable[Extension]) -> tuple[str, Agreement] | None:
    """Chooses, as a server, the first offer that we can take; returns the answer and what it means for us.

    RFC 7692 §7.1: a server "MUST decline" an offer with parameters that are not defined, have invalid values, or are
    repeated; it does not make the handshake fail.
    """
    for name, parameters in offers:
        if name != NAME:
            continue
        try:
            terms = _check(parameters, valueless={"client_max_window_bits"})
        except ValueError:
            continue
        send_takeover = deflate.context_takeover and "server_no_context_takeover" not in terms
        receive_takeover = deflate.context_takeover and "client_no_context_takeover" not in terms
        parts = [NAME]
        if not send_takeover:
            parts.append("server_no_context_takeover")
        if not receive_takeover:
            parts.append("client_no_context_takeover")
        send_bits = min(deflate.max_window_bits, terms.get("server_max_window_bits", 15))
        if "server_max_window_bits" in terms:
            parts.append(f"server_max_window_bits={send_bits}")
        receive_bits = 15
        if "client_max_window_bits" in terms:  # else the client would not know what to make of it
            receive_bits = min(deflate.max_window_bits, terms.get("client_max_window_bits", 15))
            parts.append(f"client_max_window_bits={receive_bits}")
        return "; ".join(parts), Agreement(send_bits, send_takeover, receive_bits, receive_takeover)
    return None


def agreed(deflate: Deflate | None, answer: list[Extension]) -> Agreement | None:
    """Returns what a server's answer means for the client that offered *deflate*.

    Raises:
        ValueError: the answer has what was not offered. RFC 6455 §4.1: "the client MUST _Fail the WebSocket
            Connection_".
    """
    if not answer:
        return None
    name, parameters = answer[0]
    if deflate is None or name != NAME or len(answer) > 1:
        raise ValueError(f"the server chose an extension that was not offered: {answer[-1][0][:64]!r}")
    terms = _check(parameters, valueless=set())
    receive_bits = terms.get("server_max_window_bits", 15)
    if "server_max_window_bits" in terms and receive_bits > deflate.max_window_bits:
        raise ValueError(f"server_max_window_bits={receive_bits} is more than was offered, {deflate.max_window_bits}")
    return Agreement(
        send_bits=min(deflate.max_window_bits, terms.get("client_max_window_bits", 15)),
        send_takeover=deflate.context_takeover and "client_no_context_takeover" not in terms,
        receive_bits=receive_bits,
        receive_takeover="server_no_context_takeover" not in terms,
    )


def _check(parameters: list[tuple[str, str | None]], *, valueless: set[str]) -> dict[str, int]:
    """Returns the parameters of permessage-deflate as numbers; those in *valueless* may lack theirs, which is 15 then.

    Raises:
        ValueError: there is something else among them, or one is there twice.
    """
    terms: dict[str, int] = {}
    for name, value in parameters:
        if name in terms:
            raise ValueError(f"{NAME} has {name} twice")
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ValueError(f"{name} takes no value")
            terms[name] = 1
        elif name not in ("server_max_window_bits", "client_max_window_bits"):
            raise ValueError(f"{NAME} has no parameter {name[:64]!r}")
        elif value is not None and _BITS.fullmatch(value):
            terms[name] = int(value)
        elif value is None and name in valueless:
            terms[name] = 15
        else:
            raise ValueError(f"{name} must be in 8..15, not {(value or '')[:64]!r}")
    return terms
