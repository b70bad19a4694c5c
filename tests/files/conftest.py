"""A directory with everything that is served, and all around it what is not."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.files.tools import BIG, SECRET

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with everything that is served, and all around it what is not."""
    root = tmp_path / "site"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "bare").mkdir()
    (root / ".hidden").mkdir()
    (root / "a.txt").write_bytes(b"hello\n")
    (root / "empty").write_bytes(b"")
    (root / "big.bin").write_bytes(BIG)
    (root / "sub" / "index.html").write_bytes(b"<p>index</p>")
    (root / "sub" / "deep" / "x y ü.tar.gz").write_bytes(b"compressed")
    (root / "%2e%2e").write_bytes(b"an odd name")
    (root / "a\\b").write_bytes(b"a backslash")
    (root / ".env").write_bytes(SECRET)
    (root / ".hidden" / "x").write_bytes(SECRET)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "site2").mkdir()
    (tmp_path / "site2" / "x").write_bytes(SECRET)
    (root / "inside").symlink_to("a.txt")
    (root / "within").symlink_to("sub", target_is_directory=True)
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "updir").symlink_to(tmp_path, target_is_directory=True)
    (root / "sibling").symlink_to(tmp_path / "site2", target_is_directory=True)
    (root / "to-hidden").symlink_to(".env")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "bare" / "index.html").symlink_to(tmp_path / "secret")
    (root / "dir" / "index.html").mkdir(parents=True)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(root)  # the whole path could be too long for a socket
        sock.bind("socket")
        os.chdir(here)
    return root
