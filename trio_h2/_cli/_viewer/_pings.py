"""What the PINGs are for that trio_h2 sends by itself; the payload tells, on both sides."""

from __future__ import annotations

_PURPOSES = {
    "ff6264702d6832ff": "measures the path, so that windows can grow",
    "ff6b6565702d6832": "asks whether the peer is still there",
    "ff647261696eff68": "before the second GOAWAY: has the peer seen the first?",
}


def ping_purpose(payload: str | None) -> str | None:
    """Returns what a PING is for, if it is one of the library's own.

    Args:
        payload: its eight bytes in hexadecimal, as a trace has them.
    """
    return None if payload is None else _PURPOSES.get(payload)
