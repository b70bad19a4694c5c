"""`content-type` by name."""

from __future__ import annotations

import mimetypes

import pytest

from trio_h2.files._types import _SUFFIXES, _TABLE, ContentTypes


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
        ("a.ogg", "audio/ogg"),
        ("a.oga", "audio/ogg"),
        ("a.ogv", "video/ogg"),
        ("a.opus", "audio/opus"),
        ("a.m4a", "audio/mp4"),
        ("a.mp4", "video/mp4"),
        ("a.mkv", "video/matroska"),
        ("a.m3u8", "application/vnd.apple.mpegurl"),
        ("a.ts", "video/mp2t"),
        ("a.vtt", "text/vtt; charset=utf-8"),
        ("a.avif", "image/avif"),
        ("a.jxl", "image/jxl"),
        ("a.ico", "image/vnd.microsoft.icon"),
        ("a.svgz", "image/svg+xml"),
        ("a.xhtml", "application/xhtml+xml"),
        ("a.xml", "application/xml"),
        ("a.rss", "application/rss+xml"),
        ("a.atom", "application/atom+xml"),
        ("a.cjs", "text/javascript; charset=utf-8"),
        ("a.js.map", "application/json"),
        ("a.geojson", "application/geo+json"),
        ("a.jsonld", "application/ld+json"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.glb", "model/gltf-binary"),
        ("a.gltf", "model/gltf+json"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("a.odt", "application/vnd.oasis.opendocument.text"),
        ("a.epub", "application/epub+zip"),
        ("a.7z", "application/x-7z-compressed"),
        ("a.tar.bz2", "application/x-bzip2"),
        ("a.tar.Z", "application/x-compress"),
        ("a.yaml", "application/yaml"),
        ("apple-app-site-association", "application/json"),
        (".gz", "application/octet-stream"),
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


def test_what_is_compressed_by_its_kind() -> None:
    """Browsers take ``.svgz`` for an image only if they are told that it is compressed."""
    assert ContentTypes().coding_of("A.SVGZ") == "gzip"
    for name in ("a.svg", "a.svg.gz", "a.tar.gz", "svgz", ""):
        assert ContentTypes().coding_of(name) == ""
    assert ContentTypes({".svgz": "application/gzip"}).coding_of("a.svgz") == ""


def test_the_machine_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "types_map", {".txt": "text/odd"})
    mimetypes.add_type("text/odd", ".css")
    try:
        assert ContentTypes().of("a.txt") == "text/plain; charset=utf-8"
        assert ContentTypes().of("a.css") == "text/css; charset=utf-8"
    finally:
        mimetypes.init()


def test_the_table() -> None:
    """Suffixes are in lower case and have one type; types can be sent, and none has parameters of its own."""
    suffixes = [suffix for several in _SUFFIXES.values() for suffix in several.split()]
    assert len(suffixes) == len(set(suffixes)) == len(_TABLE)
    for suffix in suffixes:
        assert suffix == suffix.lower()
        assert suffix.isalnum()
    for content_type in _SUFFIXES:
        kind, slash, rest = content_type.partition("/")
        assert kind in {"application", "audio", "font", "image", "message", "model", "text", "video"}
        assert slash
        assert rest.replace("+", "").replace("-", "").replace(".", "").isalnum()
