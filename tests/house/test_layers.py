"""A module imports only from its own layer and from lower ones; only the engine adapter and the reference
peer of the test kit know h2, only the wire of HTTP/1.1 h11, only `websocket` wsproto.

The layers are those of CONTRIBUTING.md. Every import statement counts, wherever it stands: inside a function,
behind `TYPE_CHECKING`, relative or absolute. But what a public signature promises may lie higher: `_PROMISED`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_PACKAGE = "trio_h2"

# The layer of each part of the package. What is not named here lies on layer 6, on top of the public names.
_LAYERS = {
    "_version": 0,
    "_checks": 0,
    "_field_docs": 0,
    "_public": 0,
    "_url": 0,
    "_values": 0,
    "_wire": 1,
    "_content": 2,
    "_address": 2,
    "_trace": 1,
    "_errors": 2,
    "_tcp": 2,
    "_util": 2,
    "_websocket_key": 2,
    "_refused": 2,
    "_stream": 3,
    "_session": 4,
    "_http1": 4,
    "_net": 5,
    "_names": 5,
    "_client": 6,
    "files": 6,
}
_TOP_LAYER = 6
# They gather the public names from all layers.
_FACADE = {_PACKAGE, f"{_PACKAGE}._names"}
# Public names that signatures of lower layers promise to users. They are imported for type checkers only; the code asks
# no more of these objects than what its own layer knows of them (`StreamSession`). `_public` fills the names in.
_PROMISED = {
    "_stream._client": {"ClientSession"},
    "_stream._pushed": {"ClientSession"},
    "_stream._server": {"ServerSession"},
}
# Small internals that have one home, for the parts on layer 6 as well.
_SHARED = {
    "_address",
    "_checks",
    "_content",
    "_field_docs",
    "_public",
    "_refused",
    "_tcp",
    "_trace",
    "_url",
    "_util",
    "_values",
    "_websocket_key",
}
# The sans-IO parts: no event loop, no clock, no sockets, no threads.
_SANS_IO = {"_checks", "_url", "_values", "_wire", "_trace"}
# `python -m trio_h2` is the command line under another name.
_SAME_PART = {"__main__": "_cli"}

_STATE_MACHINE = f"{_PACKAGE}._wire._stream"
_HUFFMAN_CODE = f"{_PACKAGE}._wire._hpack._codes"
_REFERENCE_ADAPTER = f"{_PACKAGE}.testing._reference._link"
_HTTP1_ADAPTERS = {
    f"{_PACKAGE}.{name}"
    for name in ("_http1._wire", "_client._http1", "_client._http1_exchange", "_client._http1_tunnel")
}
_NOT_IN_WIRE = {
    "asyncio",
    "datetime",
    "select",
    "selectors",
    "socket",
    "ssl",
    "threading",
    "time",
    "trio",
}


def _modules(root: Path) -> dict[str, Path]:
    """Returns the modules of the package under *root*, by dotted name."""
    modules = {}
    for path in sorted((root / _PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def _packages(modules: dict[str, Path]) -> set[str]:
    """Returns the names that are folders, with or without an `__init__.py`."""
    return {name.rpartition(".")[0] for name in modules} | {
        name for name, path in modules.items() if path.stem == "__init__"
    }


def _promises(name: str, tree: ast.Module) -> set[ast.stmt]:
    """Returns the imports of the module *name* that only say what its signatures promise."""
    allowed = _PROMISED.get(name.removeprefix(f"{_PACKAGE}."), set())
    return {
        statement
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and (statement.module, statement.level) == (_PACKAGE, 0)
        if all(alias.name in allowed and alias.asname is None for alias in statement.names)
    }


def _imports(name: str, path: Path, known: set[str]) -> Iterator[tuple[int, str, str]]:
    """Yields (line, imported module, imported name or "") for each import of the module *name*, but for promises.

    `from . import x` counts as an import of the module `x`, if there is one.
    """
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    promises = _promises(name, tree)
    for node in ast.walk(tree):
        if node in promises:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                if f"{source}.{alias.name}" in known:
                    yield node.lineno, f"{source}.{alias.name}", ""
                else:
                    yield node.lineno, source, alias.name


def _part(name: str) -> str:
    """Returns the part of the package that a module belongs to: `_stream` for `trio_h2._stream._base`."""
    part = name.split(".")[1] if "." in name else ""
    return _SAME_PART.get(part, part)


def _layer(name: str) -> int:
    return _LAYERS.get(_part(name), _TOP_LAYER)


def _is_private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))


def _objection(name: str, target: str, imported: str) -> str:
    """Returns why the module *name* may not import *imported* from the module *target*, or ""."""
    library = target.partition(".")[0]
    if library != _PACKAGE:
        if library == "h2" and name != _REFERENCE_ADAPTER and (name != _STATE_MACHINE or target != "h2.stream"):
            return "only the wire stream (h2.stream) and the link of the reference peer import h2"
        if library == "hpack" and name != _HUFFMAN_CODE and _part(name) != "testing":
            return "only _wire._hpack._codes and the test kit import hpack"
        if library == "hyperframe" and _part(name) != "testing":
            return "only the test kit imports hyperframe"
        if imported.startswith("_") and library in ("h2", "hpack", "hyperframe"):
            return "private names of h2, hpack and hyperframe are theirs"
        if library == "h11" and name not in _HTTP1_ADAPTERS:
            return "only the adapters for HTTP/1.1 import h11"
        if library == "wsproto" and _part(name) != "websocket":
            return "only trio_h2.websocket imports wsproto"
        if library in _NOT_IN_WIRE and _part(name) in _SANS_IO:
            return "the sans-IO layers have no event loop, clock or socket"
        return ""
    if _part(name) == _part(target):
        return ""
    if _layer(name) < _TOP_LAYER:
        if _layer(target) > _layer(name):
            return f"layer {_layer(name)} imports layer {_layer(target)}"
    elif _is_private(f"{target}.{imported}") and not (_part(target) in _SHARED and not _is_private(imported)):
        return "what stands on the public API imports public names only, and the shared internals"
    return ""


def _violations(root: Path) -> list[str]:
    """Returns one line for each import that breaks the rules."""
    modules = _modules(root)
    known = set(modules) | _packages(modules)
    found = []
    for name, path in modules.items():
        for line, target, imported in _imports(name, path, known):
            if name in _FACADE and target.partition(".")[0] == _PACKAGE:
                continue
            if objection := _objection(name, target, imported):
                what = f"{target}.{imported}" if imported else target
                found.append(f"{path.relative_to(root)}:{line}: imports {what}: {objection}")
    return found


def test_imports_respect_the_layers() -> None:
    assert f"{_PACKAGE}._wire" in _modules(_ROOT), "the package has moved: this test looks at nothing"
    assert _violations(_ROOT) == []


def test_every_private_part_has_a_layer() -> None:
    """A new or renamed part would otherwise be taken for one that stands on the public API."""
    parts = {_part(name) for name in _modules(_ROOT) if name != _PACKAGE}
    private = {part for part in parts if part.startswith("_")}
    assert private <= {*_LAYERS, *_SAME_PART.values()}


def test_promised_names_are_used_in_annotations_only() -> None:
    """`cast` takes the name of a type, too, and does nothing."""
    for name, promised in _PROMISED.items():
        path = (_ROOT / _PACKAGE).joinpath(*name.split(".")).with_suffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        hints = {
            node
            for function in ast.walk(tree)
            if (hint := getattr(function, "returns", None))
            for node in ast.walk(hint)
        }
        used = {node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in promised}
        assert used, f"{name} no longer promises {promised}"
        assert used <= hints


_PLANTED = [
    *["__init__", "_wire/__init__", "_wire/_adapter", "_wire/_engine", "_checks", "_errors", "_refused", "_util"],
    *["_stream/_base", "_session/_base", "_http1/_wire", "_http1/_connection", "_net/_serve"],
    *["_cli/__init__", "_cli/_get", "files", "testing/__init__", "tunnel/__init__", "tunnel/_proxy"],
]


def _plant(root: Path, module: str, source: str) -> None:
    """Makes a small package with one module of each part, and *source* as the content of *module*."""
    for name in [*_PLANTED, module]:
        path = root / _PACKAGE / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source if name == module else "")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_wire/_engine", "import trio"),
        ("_wire/_engine", "import trio.lowlevel as low"),
        ("_wire/_engine", "from time import monotonic"),
        ("_wire/_engine", "import socket"),
        ("_wire/_engine", "def late():\n    import ssl"),
        ("_wire/_engine", "import h2.connection"),
        ("_wire/_engine", "from h2 import events"),
        ("_wire/_engine", "from h2.stream import StreamState"),
        ("_wire/_stream", "import h2.connection"),
        ("_wire/_stream", "from h2.stream import _transitions"),
        ("_wire/_hpack/_decoder", "import hpack"),
        ("_wire/_reader", "from hyperframe.frame import Frame"),
        ("_wire/_engine", "from .. import _errors"),
        ("_wire/_engine", "from .._errors import H2Error"),
        ("_wire/_engine", "from trio_h2._util import helper"),
        ("_wire/__init__", "from .._errors import H2Error"),
        ("_checks", "import trio"),
        ("_checks", "from ._wire._engine import Engine"),
        ("_util", "from ._stream._base import Stream"),
        ("_errors", "from ._stream._base import Stream"),
        ("_errors", "from . import _stream"),
        ("_errors", "import trio_h2._stream._base"),
        ("_stream/_base", "from h2.errors import ErrorCodes"),
        ("_stream/_base", "from .._session._base import Session"),
        ("_stream/_base", "from .._session import _base"),
        ("_stream/_base", "if TYPE_CHECKING:\n    from .._session._base import Session"),
        ("_stream/_base", "from trio_h2 import Session"),
        ("_stream/_base", "if TYPE_CHECKING:\n    from trio_h2 import ServerSession"),
        ("_stream/_server", "from trio_h2 import ServerSession"),
        ("_stream/_server", "if TYPE_CHECKING:\n    from trio_h2 import Server"),
        ("_stream/_server", "if TYPE_CHECKING:\n    from .._session._server import ServerSession"),
        ("_stream/_server", "if TYPE_CHECKING:\n    pass\nelse:\n    from trio_h2 import ServerSession"),
        ("_stream/_base", "from .. import Session"),
        ("_session/_base", "import trio_h2"),
        ("_session/_base", "from .._net import _serve"),
        ("_http1/_connection", "import h11"),
        ("_http1/_connection", "from .._net import _serve"),
        ("_net/_serve", "from h11 import Connection"),
        ("_net/_serve", "from ..files import send_file"),
        ("_net/_serve", "from .._cli._get import main"),
        ("files", "from ._errors import H2Error"),
        ("files", "from . import _wire"),
        ("files", "from trio_h2._wire import _engine"),
        ("files", "import trio_h2._errors"),
        ("files", "from trio_h2 import _hidden"),
        ("files", "from ._util import _hidden"),
        ("_cli/_get", "from .._net._serve import serve_tcp"),
        ("_cli/__init__", "from .._net._serve import serve_tcp"),
        ("_net/_serve", "from ..tunnel import ConnectProxy"),
        ("tunnel/_proxy", "from .._net._options import ServerOptions"),
        ("tunnel/_proxy", "from .._cli import main"),
        ("_cli/_get", "from trio_h2.tunnel._client import through"),
        ("testing/__init__", "from .._cli import main"),
        ("testing/__init__", "import h2"),
        ("testing/_reference/_peer", "from h2 import events"),
        ("testing/_reference/_link", "from ..._wire._engine import Engine"),
        ("files", "from wsproto.connection import Connection"),
        ("websocket/_socket", "from .._stream._base import Stream"),
        ("__init__", "import h2"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, module: str, source: str) -> None:
    _plant(tmp_path, module, source)
    (violation,) = _violations(tmp_path)
    last_line = len(source.splitlines())
    assert violation.startswith(f"{Path(_PACKAGE, f'{module}.py')}:{last_line}: imports ")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_wire/_stream", "from h2.stream import H2StreamStateMachine"),
        ("_wire/_hpack/_codes", "from hpack import NeverIndexedHeaderTuple"),
        ("_wire/_engine", "from . import _stream\nfrom ._stream import X\nimport trio_h2._wire._stream"),
        ("_wire/__init__", "from ._engine import Engine"),
        ("_wire/_engine", "from .._checks import check_int\nfrom .. import _checks"),
        ("_refused", "from ._errors import H2Error\nfrom ._wire._engine import Engine"),
        ("files", "from ._checks import check_int\nfrom ._util import helper\nfrom trio_h2 import _util"),
        ("tunnel/_proxy", "from .._refused import RefusedError\nfrom trio_h2._checks import check_int"),
        ("_errors", "import trio\nfrom ._wire._engine import Engine\nfrom ._util import helper"),
        ("_stream/_base", "from .._wire import _engine\nfrom .. import _errors\nimport time, ssl"),
        ("_stream/_server", "if TYPE_CHECKING:\n    from trio_h2 import ServerSession"),
        ("_http1/_wire", "import h11\nfrom .._wire import _engine\nfrom .._stream._base import Stream"),
        ("_net/_serve", "from .._session._base import Session\nfrom .._version import __version__"),
        ("__init__", "from ._net._serve import serve_tcp as serve_tcp\nfrom . import _errors"),
        ("files", "import trio_h2, trio\nfrom trio_h2 import Server, __version__\nfrom . import Headers"),
        ("_cli/_get", "from . import _args\nfrom trio_h2 import connect\nfrom trio_h2.files import send"),
        ("__main__", "from ._cli import main\nfrom trio_h2._cli import main"),
        ("testing/__init__", "from ._peer import Peer as Peer"),
        ("testing/_reference/_link", "import h2.connection\nfrom h2 import events\nimport trio_h2"),
        ("tunnel/_proxy", "import trio_h2\nfrom trio_h2 import ServerStream\nfrom ._rules import AllowList"),
        ("tunnel/__init__", "from ._proxy import ConnectProxy as ConnectProxy"),
        ("_cli/_get", "from trio_h2.tunnel import through"),
        ("websocket/_framing", "from wsproto.connection import Connection\nfrom ._guard import MessageGuard"),
    ],
)
def test_a_right_import_is_no_violation(tmp_path: Path, module: str, source: str) -> None:
    _plant(tmp_path, module, source)
    assert _violations(tmp_path) == []
