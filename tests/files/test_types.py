"""`content-type` by name."""

from __future__ import annotations

import mimetypes

import pytest

from trio_h2.files._types import ContentTypes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.txt.xz", "application/x-xz"),
        ("a.txt.br", "application/octet-stream"),
        ("a.zst", "application/zstd"),
        ("a", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("http://x/y.txt", "text/plain; charset=utf-8"),
    ],
)
def test_known_names(name: str, expected: str) -> None:
    assert ContentTypes().of(name) == expected


def test_additions_come_first() -> None:
    types = ContentTypes({".foo": "text/x-foo", ".tar.gz": "application/x-tgz", ".txt": "text/x-mine"}, charset=None)
    assert types.of("a.foo") == "text/x-foo"
    assert types.of("a.TAR.GZ") == "application/x-tgz"
    assert types.of("a.txt") == "text/x-mine"
    assert types.of("a.html") == "text/html"
    for suffix in ("foo", ".Foo", ""):
        with pytest.raises(ValueError, match="suffix"):
            ContentTypes({suffix: "a/b"})


def test_types_that_cannot_be_sent() -> None:
    for content_type in ("a/b\r\nx: y", " a/b", "a/\u20ac"):
        with pytest.raises(ValueError, match="content-type"):
            ContentTypes({".foo": content_type})
    with pytest.raises(ValueError, match="content-type"):
        ContentTypes(charset="x\n")


def test_the_machine_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "types_map", {".txt": "text/odd"})
    mimetypes.add_type("text/odd", ".css")
    try:
        assert ContentTypes().of("a.txt") == "text/plain; charset=utf-8"
        assert ContentTypes().of("a.css") == "text/css; charset=utf-8"
    finally:
        mimetypes.init()
