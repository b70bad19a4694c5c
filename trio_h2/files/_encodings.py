"""Which content coding a client gets: the ``accept-encoding`` field (RFC 9110 §12.5.3)."""

from __future__ import annotations

import re

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""The codings that siblings of a file can have, the preferred ones first."""
IDENTITY = "identity"

# RFC 9110 §12.4.2: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_element = re.compile(
    r"(?P<coding>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:[ \t]*;[ \t]*[qQ]=(?P<q>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
).fullmatch
_ALIASES = {"x-gzip": "gzip"}  # RFC 9110 §8.4.1.3


def acceptable(accept_encoding: str | None) -> list[str]:
    """Returns the codings of `SUFFIXES` and ``identity`` that may be sent, the best first.

    Without the field that is ``identity``: RFC 9110 §12.5.3 allows any then, but who says nothing likely knows none.
    """
    if accept_encoding is None:
        return [IDENTITY]
    weights: dict[str, float] = {}
    for element in accept_encoding.split(","):
        match = _element(element.strip(" \t"))
        if match is not None:
            coding = match["coding"].lower()
            weights.setdefault(_ALIASES.get(coding, coding), float(match["q"] or 1))
    others = weights.get("*", 0.0)
    ranking = {coding: weights.get(coding, others) for coding in SUFFIXES}
    # RFC 9110 §12.5.3: without a coding "it is acceptable by default unless specifically excluded by the
    # Accept-Encoding header field stating either "identity;q=0" or "*;q=0" without a more specific entry".
    if IDENTITY in weights:
        ranking[IDENTITY] = weights[IDENTITY]
    else:
        ranking[IDENTITY] = 0.0 if weights.get("*") == 0 else 0.0005  # less than any weight that can be given
    accepted = [coding for coding in ranking if ranking[coding]]
    return sorted(accepted, key=lambda coding: -ranking[coding])
