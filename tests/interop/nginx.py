"""nginx, with all its files in one folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.processes import PeerFinder

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
events {{ }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
{http}
}}
"""


def nginx_command(peers: PeerFinder, folder: Path, http: str) -> list[str]:
    """Writes a configuration, and returns the command that runs nginx with it.

    Args:
        peers: finds the program.
        folder: where all its files go.
        http: what the `http` block says besides.
    """
    user = "user root;" if os.geteuid() == 0 else ""  # who may read the folder of the test
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, user=user, http=http))
    return [peers.program("nginx"), "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
