"""The ``[[route]]`` tables of a file in TOML."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, TypeVar, cast

from trio_h2.files import DirectoryHandler
from trio_h2.gateway import Ejection, HealthCheck, Retries, Route, Servers

from ._app import load_app
from ._config_file import ConfigFile
from ._errors import CommandError, UsageError, one_line, reason
from ._kinds import APP
from ._loading import load
from ._target import trusting

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping

    from _typeshed import DataclassInstance

    import trio_h2

    from ._args import ServeOptions
    from ._asgi import AsgiService

_T = TypeVar("_T", bound="DataclassInstance")

_TARGETS: Final = ("servers", "directory", "asgi", "app")
_OF_ROUTE: Final = ("prefix", "host")
_OF_SERVERS: Final = (
    *("strip_prefix", "rewrite", "health", "ejection", "retries", "timeouts", "max_running", "max_waiting", "max_wait"),
    *("keep_host", "forwarded", "x_forwarded", "tunnel_idle_timeout", "http2", "ca", "insecure"),
)
_OF_DIRECTORY: Final = ("index", "fallback", "listing", "hidden", "precompressed", "cache_control", "strip_prefix")
_OF_ASGI: Final = ("factory", "lifespan", "strip_prefix")
_KEYS: Final = {"servers": _OF_SERVERS, "directory": _OF_DIRECTORY, "asgi": _OF_ASGI, "app": ()}
_PLAIN: Final = (
    *("max_running", "max_waiting", "max_wait", "keep_host", "forwarded", "x_forwarded", "tunnel_idle_timeout"),
)


class RouteTables:
    """The routes of the file that the options name, if they name one.

    Args:
        options: of the command.

    Raises:
        UsageError: the file cannot be read, or has what no route can be.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.routes: list[Route] = []
        self.applications: list[AsgiService] = []
        """Those that must have started."""
        self._options = options
        if options.routes_file is None:
            return
        self._path = options.routes_file
        self._directory = os.path.dirname(os.path.abspath(self._path))
        tables = ConfigFile(self._path).table.get("route", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise UsageError(f"{self._path}: routes must be tables, each below a line [[route]]")
        for number, table in enumerate(tables, 1):
            try:
                self.routes.append(self._route({key.replace("-", "_"): value for key, value in table.items()}))
            except (TypeError, ValueError) as exc:
                raise UsageError(f"{self._path}: route {number}: {one_line(str(exc))}") from exc
            except CommandError as exc:
                raise UsageError(f"{self._path}: route {number}: {exc}") from exc

    def _route(self, table: dict[str, object]) -> Route:
        targets = [key for key in _TARGETS if key in table]
        if len(targets) != 1:
            raise ValueError(f"it must have one of {', '.join(_TARGETS)}, not {len(targets)} of them")
        [kind] = targets
        _check_keys(table, (*_OF_ROUTE, kind, *_KEYS[kind]))
        prefix, host = _text(table, "prefix", "/"), _text(table, "host", None)
        assert prefix is not None
        strip = _flag(table, "strip_prefix", default=kind == "directory")
        if kind == "servers":
            rewrite = None if "rewrite" not in table else self._rewrite(_must("rewrite", table["rewrite"]))
            return Route(prefix, self._servers(table), host=host, strip_prefix=strip, rewrite=rewrite)
        value = _must(kind, table[kind])
        if kind == "directory":
            return Route(prefix, self._files(value, table, prefix if strip else ""), host=host)
        if kind == "app":
            return Route(prefix, load_app(self._app(value), self._options.app_dir), host=host)
        return Route(prefix, self._asgi(value, table, prefix.rstrip("/") if strip else ""), host=host)

    def _app(self, spec: str) -> str:
        assert APP.absolute is not None
        return APP.absolute(self._directory, APP.read(spec))

    def _rewrite(self, spec: str) -> Callable[[trio_h2.Headers], trio_h2.HeadersInput]:
        found, name, where = load(self._app(spec), "rewrite", self._options.app_dir)
        if not callable(found):
            raise TypeError(f"rewrite: {name!r} in {where} is no function")
        return cast("Callable[[trio_h2.Headers], trio_h2.HeadersInput]", found)

    def _servers(self, table: Mapping[str, object]) -> Servers:
        urls = table["servers"]
        listed = urls if isinstance(urls, list) else [urls]
        options: dict[str, object] = {key: table[key] for key in _PLAIN if key in table}
        health = table.get("health")
        if isinstance(health, str):
            health = {"path": health}
        if health is not None:
            options["check"] = _made("health", HealthCheck(), health)
        if "ejection" in table:
            ejection = table["ejection"]
            options["ejection"] = None if ejection is False else _made("ejection", Ejection(), ejection)
        if "retries" in table:
            options["retries"] = _made("retries", Retries(), table["retries"])
        if "timeouts" in table:
            options["timeouts"] = _made("timeouts", Servers("http://localhost").timeouts, table["timeouts"])
        if "http2" in table:
            options["prior_knowledge"] = table["http2"]
        if "ca" in table or "insecure" in table:
            options["ssl_context"] = self._trust(table)
        return _changed(Servers([self._url(_must("servers", url)) for url in listed]), options)

    def _url(self, url: str) -> str:
        return f"unix:{os.path.join(self._directory, url[5:])}" if url.startswith("unix:") and url[5:] else url

    def _trust(self, table: Mapping[str, object]) -> ssl.SSLContext:
        ca, insecure = _text(table, "ca", None), _flag(table, "insecure", default=False)
        if insecure and ca is not None:
            raise ValueError("ca and insecure exclude each other")
        return trusting(None if ca is None else os.path.join(self._directory, ca), insecure=insecure)

    def _files(self, path: str, table: Mapping[str, object], prefix: str) -> DirectoryHandler:
        try:
            return DirectoryHandler(
                os.path.join(self._directory, path),
                prefix=prefix.rstrip("/"),
                index=_text(table, "index", "index.html"),
                fallback=_text(table, "fallback", None),
                cache_control=_text(table, "cache_control", None),
                listing=_flag(table, "listing", default=False),
                hidden=_flag(table, "hidden", default=False),
                precompressed=_flag(table, "precompressed", default=True),
            )
        except (NotADirectoryError, FileNotFoundError):
            raise UsageError(f"cannot serve {path}: it is not a directory") from None
        except OSError as exc:
            raise UsageError(f"cannot serve {path}: {reason(exc)}") from exc

    def _asgi(self, spec: str, table: Mapping[str, object], mount: str) -> trio_h2.Handler:
        from ._asgi import AsgiService  # which takes time to load

        factory, mode = _flag(table, "factory", default=False), table.get("lifespan", "auto")
        if mode not in ("auto", "on", "off"):
            raise ValueError(f"lifespan must be one of auto, on, off, not {mode!r}")
        options = replace(self._options, asgi=self._app(spec), factory=factory, lifespan=mode, root_path="")
        application = AsgiService(options, mount)
        self.applications.append(application)
        return application.handler


def _check_keys(table: Mapping[str, object], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise ValueError(f"there is no {key!r} in it" + (f"; did you mean {near[0]!r}?" if near else ""))


def _text(table: Mapping[str, object], key: str, default: str | None) -> str | None:
    return _must(key, table[key]) if key in table else default


def _flag(table: Mapping[str, object], key: str, *, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be true or false, not {value!r}")
    return value


def _must(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a string, not {value!r}")
    return value


def _made(key: str, defaults: _T, table: object) -> _T:
    """Returns the options that a table has, each a field of a dataclass."""
    if not isinstance(table, dict):
        raise TypeError(f"{key} must be a table, not {table!r}")
    fields = {name.replace("-", "_"): value for name, value in table.items()}
    try:
        _check_keys(fields, [field.name for field in dataclasses.fields(defaults)])
        return _changed(defaults, fields)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{key}: {exc}") from exc


def _changed(value: _T, fields: Mapping[str, object]) -> _T:
    """Returns a dataclass with other fields, which it checks itself."""
    same: DataclassInstance = value
    return cast("_T", replace(same, **fields))
