"""Where other projects document their names: links that are made without asking anybody, when the site is built."""

from __future__ import annotations

import builtins

PYTHON = "https://docs.python.org/3/library/"
TRIO = "https://trio.readthedocs.io/en/stable/"

_MODULES = [
    "collections.abc",
    "contextlib",
    "datetime",
    "http",
    "logging",
    "math",
    "os",
    "pathlib",
    "ssl",
    "types",
    "typing",
    "urllib.parse",
]
_TRIO_CORE = [
    "BrokenResourceError",
    "BusyResourceError",
    "CancelScope",
    "Cancelled",
    "ClosedResourceError",
    "EndOfChannel",
    "Event",
    "Nursery",
    "TASK_STATUS_IGNORED",
    "TaskStatus",
    "TooSlowError",
    "TrioDeprecationWarning",
    "fail_after",
    "move_on_after",
    "open_nursery",
    "run",
]
_TRIO_IO = [
    "NeedHandshakeError",
    "SSLListener",
    "SSLStream",
    "SocketListener",
    "SocketStream",
    "aclose_forcefully",
    "open_tcp_stream",
    "serve_listeners",
    "serve_tcp",
]
_SHORT = {
    "Any": "typing.Any",
    "AsyncIterable": "collections.abc.AsyncIterable",
    "AsyncIterator": "collections.abc.AsyncIterator",
    "Awaitable": "collections.abc.Awaitable",
    "Buffer": "collections.abc.Buffer",
    "Callable": "collections.abc.Callable",
    "Collection": "collections.abc.Collection",
    "Iterable": "collections.abc.Iterable",
    "Iterator": "collections.abc.Iterator",
    "Literal": "typing.Literal",
    "Mapping": "collections.abc.Mapping",
    "MutableMapping": "collections.abc.MutableMapping",
    "Path": "pathlib.Path",
    "Self": "typing.Self",
    "Sequence": "collections.abc.Sequence",
    "TracebackType": "types.TracebackType",
}
"""Names that annotations use without their module, where they are imported for type checkers only."""
_TYPES = [
    "bool",
    "bytearray",
    "bytes",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "memoryview",
    "range",
    "set",
    "str",
    "tuple",
]


def address(name: str) -> str | None:
    """Returns where a name of Python or Trio is explained, or ``None``."""
    name = _SHORT.get(name, name)
    if name.startswith("trio."):
        return _of_trio(name)
    if name in ("None", "True", "False"):
        return f"{PYTHON}constants.html#{name}"
    if name in _TYPES:
        return f"{PYTHON}stdtypes.html#{name}"
    builtin: object = getattr(builtins, name, None)
    if isinstance(builtin, type) and issubclass(builtin, BaseException):
        return f"{PYTHON}exceptions.html#{name}"
    if builtin is not None:
        return f"{PYTHON}functions.html#{name}"
    for module in _MODULES:
        if name.startswith(f"{module}."):
            return f"{PYTHON}{module}.html#{name}"
    return None


def _of_trio(name: str) -> str | None:
    rest = name.removeprefix("trio.")
    if rest.startswith("testing."):
        return f"{TRIO}reference-testing.html#{name}"
    if rest.startswith("abc.") or rest in _TRIO_IO:
        return f"{TRIO}reference-io.html#{name}"
    if rest.startswith("lowlevel."):
        return f"{TRIO}reference-lowlevel.html#{name}"
    return f"{TRIO}reference-core.html#{name}" if rest in _TRIO_CORE else None
