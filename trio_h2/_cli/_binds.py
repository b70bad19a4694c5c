"""What a server listens on, as it is written on the command line, or as systemd has opened it already."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

_FIRST_DESCRIPTOR: Final = 3
"""sd_listen_fds(3): SD_LISTEN_FDS_START."""
_EVERY_ADDRESS: Final = ("", "*", "::")
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^][]*)\]|([^][:]*)):([0-9]{1,5})", re.ASCII)
_PATH_AND_MODE: Final = re.compile(r"(.+):(0?[0-7]{3})", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bind:
    """One of: a TCP port, a Unix socket, an inherited descriptor."""

    host: str | None = None
    """A name or address of this machine; ``None`` is every address, of IPv4 and of IPv6. Only with `port`."""
    port: int | None = None
    """0 for a free one."""
    path: str | None = None
    """Where the Unix socket is made."""
    mode: int | None = None
    """Who may connect to it; ``None`` leaves that to the umask."""
    descriptor: int | None = None

    def __str__(self) -> str:
        if self.descriptor is not None:
            return f"descriptor {self.descriptor}"
        if self.path is not None:
            return self.path
        return f"{self.host or 'every address'}, port {self.port}"

    @property
    def option(self) -> str:
        """What the option for it is called."""
        return "fd" if self.descriptor is not None else "unix" if self.path is not None else "bind"

    @property
    def argument(self) -> str:
        """What that option is given."""
        if self.descriptor is not None:
            return str(self.descriptor)
        if self.path is not None:
            return self.path if self.mode is None else f"{self.path}:{self.mode:03o}"
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def url(self, scheme: str, port: int) -> str:
        """Returns where a TCP port can be reached."""
        from .._util import host_and_port  # it imports Trio, which `--help` need not wait for

        return f"{scheme}://{host_and_port(self.host or 'localhost', port)}"


def tcp_bind(host: str, port: int) -> Bind:
    """Reads a host as people write it, brackets of IPv6 addresses included."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return Bind(None if bare in _EVERY_ADDRESS else bare, port)


def parse_bind(text: str) -> Bind:
    """Reads ``HOST:PORT``; no host is every address.

    Raises:
        ValueError: it is something else.
    """
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        raise ValueError(f"must be HOST:PORT, [IPv6]:PORT or :PORT, not {text!r}")
    return tcp_bind(match[1] or match[2] or "", int(match[3]))


def parse_unix(text: str) -> Bind:
    """Reads ``PATH`` or ``PATH:MODE``, the mode in three octal digits.

    Raises:
        ValueError: there is no path.
    """
    match = _PATH_AND_MODE.fullmatch(text)
    path = text if match is None else match[1]
    if not path or "\0" in path:
        raise ValueError(f"must be PATH or PATH:MODE, not {text!r}")
    return Bind(path=path, mode=None if match is None else int(match[2], 8))


def parse_descriptor(text: str) -> Bind:
    """Reads the number of a descriptor.

    Raises:
        ValueError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) < 2**31):
        raise ValueError(f"must be the number of an open descriptor, not {text!r}")
    return Bind(descriptor=int(text))


def systemd_binds() -> list[Bind]:
    """Returns the sockets that systemd passes to this process (sd_listen_fds(3)), and to no other that it starts."""
    process, number = os.environ.get("LISTEN_PID", ""), os.environ.get("LISTEN_FDS", "")
    if process != str(os.getpid()) or not (number.isascii() and number.isdigit()):
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [Bind(descriptor=_FIRST_DESCRIPTOR + index) for index in range(int(number))]
