"""Field sections as the reference peer sends them: what was given and nothing else."""

from __future__ import annotations

import trio_h2

Field = tuple[bytes, bytes]


def fields(pseudo: dict[str, str | int | None], headers: trio_h2.HeadersInput | None) -> list[Field]:
    """Returns a field section: pseudo-headers first, those that are None left out, then *headers*.

    A pseudo-header among *headers* takes the place of the one in *pseudo*.

    Raises:
        TypeError, ValueError: A field has a wrong type, or characters that no field may have.
    """
    others = trio_h2.Headers(() if headers is None else headers).raw
    own = {name: field for field in others if (name := field[0].decode("latin-1")).startswith(":")}
    first = trio_h2.Headers(
        {name: value for name, value in pseudo.items() if value is not None and name not in own}
    ).raw
    return [*first, *own.values(), *(field for field in others if not field[0].startswith(b":"))]
