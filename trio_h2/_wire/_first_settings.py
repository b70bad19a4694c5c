"""The first SETTINGS of a session, where an application names them beside the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ._codes import SettingCode
from ._config import ClientConfig, ServerConfig
from ._settings import MAX_SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_C = TypeVar("_C", ClientConfig, ServerConfig)

_OPTIONS: Final = {
    "header_table_size": "header_table_size",
    "initial_window_size": "stream_window",
    "max_frame_size": "max_frame_size",
    "max_header_list_size": "max_header_list_size",
}
"""Fields of `Settings`, and the options of configurations that say the same."""
_SERVER_OPTIONS: Final = {
    "max_concurrent_streams": "max_concurrent_streams",
    "enable_connect_protocol": "enable_connect_protocol",
}
_CLIENT_OPTIONS: Final = {"max_concurrent_streams": "max_concurrent_pushes"}
_MOST_OF_OURS: Final = 8
"""Settings that the library sends by itself."""


def with_settings(config: _C, settings: object, *, push: bool = False) -> tuple[_C, Mapping[int, int]]:
    """Lets *settings* go before what *config* says of the same.

    Args:
        config: limits and timeouts.
        settings: a `Settings` or ``None``.
        push: whether a client has a push handler.

    Returns:
        The configuration that the session has then, and what the first SETTINGS say beside or instead of what follows
        from it.

    Raises:
        TypeError: *settings* is no `Settings`.
        ValueError: a value cannot be sent by this side, or does not fit the configuration.
    """
    if settings is None:
        return config, {}
    if not isinstance(settings, Settings):
        raise TypeError(f"settings must be Settings, not {settings!r}")
    server = isinstance(config, ServerConfig)
    if settings.enable_push and not push:
        # RFC 9113 §6.5.2: "A server MUST NOT explicitly set this value to 1." And a client needs somebody who takes
        # what is pushed.
        if server:
            raise ValueError("settings: enable_push=True is for clients; a server MUST NOT send it (RFC 9113 §6.5.2)")
        raise ValueError("settings: enable_push=True needs a push_handler")
    values = settings.as_dict()
    if len(values) > MAX_SETTINGS - _MOST_OF_OURS:
        most = MAX_SETTINGS - _MOST_OF_OURS
        raise ValueError(f"settings has {len(values)} settings, the first SETTINGS frame has room for {most}")
    options = _OPTIONS | (_SERVER_OPTIONS if server else _CLIENT_OPTIONS)
    changes: dict[str, object] = {
        option: getattr(settings, name) for name, option in options.items() if getattr(settings, name) is not None
    }
    no_priorities = settings.custom.get(SettingCode.NO_RFC7540_PRIORITIES)
    if no_priorities is not None and not server:
        changes["rfc7540_priorities"] = not no_priorities
    return config.evolve(**changes), values
