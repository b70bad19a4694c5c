"""What `DirectoryHandler` answers: validators, conditions, ranges, codings, redirects, and its options."""

from __future__ import annotations

import os
import time
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest

from tests.files.tools import BIG, HTML, SECRET, TEXT, Answer, ask, session_with
from trio_h2.files import DirectoryHandler
from trio_h2.files._dates import format_date

if TYPE_CHECKING:
    from pathlib import Path

    import trio_h2

THEN = 784_111_777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class Later:
    """The clock of the handler, a while after the files were made: they are old enough for strong validators."""

    @staticmethod
    def time() -> float:
        """As `time.time`."""
        return time.time() + 10


def settle(root: Path) -> None:
    """Gives the files a date of modification."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (THEN, THEN))


@pytest.fixture
def site(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory with old files, some of which have compressed siblings."""
    (root / "page.html").write_bytes(b"<p>page</p>")
    (root / "page.html.br").write_bytes(b"page in brotli")
    (root / "page.html.gz").write_bytes(b"page in gzip, longer")
    (root / "style.css").write_bytes(b"p {}")
    (root / "style.css.zst").write_bytes(b"style in zstd")
    (root / "style.css.br").symlink_to(root.parent / "secret")
    (root / "script.js").write_bytes(b"run()")
    (root / "script.js.gz").mkdir()
    settle(root)
    monkeypatch.setattr("trio_h2.files._directory.time", Later)
    return root


# -- every file --------------------------------------------------------------------------------------------------------


async def test_fields_of_a_file(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt")
        assert got.headers["last-modified"] == DATE
        assert got.headers["accept-ranges"] == "bytes"
        assert got.headers["vary"] == "accept-encoding"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["etag"].startswith('"')
        assert "cache-control" not in got.headers
        assert "content-encoding" not in got.headers
        head = await ask(session, "/a.txt", "HEAD")
        assert [field for field in head.headers.raw if field[0] != b"date"] == [
            field for field in got.headers.raw if field[0] != b"date"
        ]


async def test_a_file_that_has_just_changed(site: Path) -> None:
    """It may change again within a tick of the file system's clock, so its tag is weak for a second."""
    os.utime(site / "a.txt", (time.time() + 1000, time.time() + 1000))
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt")
        assert got.headers["etag"].startswith('W/"')
        assert got.headers["last-modified"] != format_date(time.time() + 1000)
        part = await ask(session, "/a.txt", headers={"range": "bytes=0-1", "if-range": got.headers["etag"]})
        assert (part.status, part.body) == (200, b"hello\n")
        again = await ask(session, "/a.txt", headers={"if-none-match": got.headers["etag"]})
        assert again.status == 304


async def test_options(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        for path in ("/a.txt", "/absent", "*"):
            got = await ask(session, path, "OPTIONS")
            assert (got.status, got.headers["allow"], got.body) == (204, "GET, HEAD, OPTIONS", b"")


# -- conditions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parity("E6")
async def test_not_modified(site: Path, method: str) -> None:
    async with session_with(DirectoryHandler(site, cache_control="max-age=60")) as session:
        tag = (await ask(session, "/a.txt")).headers["etag"]
        for headers in ({"if-none-match": tag}, {"if-modified-since": DATE}, {"if-none-match": f'"x", W/{tag}'}):
            got = await ask(session, "/a.txt", method, headers=headers)
            assert (got.status, got.body) == (304, b"")
            assert got.headers["etag"] == tag
            assert got.headers["cache-control"] == "max-age=60"
            assert got.headers["vary"] == "accept-encoding"
            assert "content-length" not in got.headers
            assert "content-type" not in got.headers
        os.utime(site / "a.txt", (THEN + 1, THEN + 1))
        for headers in ({"if-none-match": tag}, {"if-modified-since": DATE}):
            assert (await ask(session, "/a.txt", method, headers=headers)).status == 200


@pytest.mark.parametrize("by_renaming", [False, True])
async def test_a_file_replaced_by_one_of_the_same_size_and_time(site: Path, by_renaming: bool) -> None:
    """As ``cp -p``, ``rsync -t`` and new container images do: what the client has is not what there is."""
    async with session_with(DirectoryHandler(site)) as session:
        before = (await ask(session, "/a.txt")).headers
        new = site / ("new" if by_renaming else "a.txt")
        new.write_bytes(b"other\n")
        os.utime(new, (THEN, THEN))
        if by_renaming:
            new.rename(site / "a.txt")
        got = await ask(session, "/a.txt", headers={"if-none-match": before["etag"]})
        assert (got.status, got.body) == (200, b"other\n")
        assert got.headers["last-modified"] == before["last-modified"]
        assert (await ask(session, "/a.txt", headers={"if-match": before["etag"]})).status == 412
        for validator in (before["etag"], before["last-modified"]):
            got = await ask(session, "/a.txt", headers={"range": "bytes=3-", "if-range": validator})
            assert (got.status, got.body) == (200, b"other\n")


async def test_a_file_without_a_date(site: Path) -> None:
    """Container images give all files the time 0 or 1."""
    os.utime(site / "a.txt", (1, 1))
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt")
        assert "last-modified" not in got.headers
        for name in ("if-modified-since", "if-unmodified-since"):
            assert (await ask(session, "/a.txt", headers={name: DATE})).body == b"hello\n"
        assert (await ask(session, "/a.txt", headers={"if-none-match": got.headers["etag"]})).status == 304


async def test_a_condition_that_fails(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        for headers in ({"if-match": '"x"'}, {"if-unmodified-since": "Sun, 06 Nov 1994 08:49:36 GMT"}):
            got = await ask(session, "/a.txt", headers=headers)
            assert (got.status, got.body) == (412, b"412 Precondition Failed\n")
        tag = (await ask(session, "/a.txt")).headers["etag"]
        assert (await ask(session, "/a.txt", headers={"if-match": tag})).status == 200


async def test_what_is_not_there_has_no_conditions(site: Path) -> None:
    """RFC 9110 §13.2.1: conditions are for what would otherwise be a success."""
    async with session_with(DirectoryHandler(site)) as session:
        for headers in ({"if-none-match": "*"}, {"if-match": '"x"'}, {"range": "bytes=0-1"}):
            assert (await ask(session, "/absent", headers=headers)).status == 404


# -- ranges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=500000-700000", 500_000, 700_000), ("bytes=-3", 1_000_000, 1_000_002)],
)
@pytest.mark.parity("E6")
async def test_one_range(site: Path, value: str, first: int, last: int) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/big.bin", headers={"range": value})
        assert (got.status, got.body) == (206, BIG[first : last + 1])
        assert got.headers["content-range"] == f"bytes {first}-{last}/{len(BIG)}"
        assert got.headers["content-length"] == str(len(got.body))
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["etag"] == (await ask(session, "/big.bin")).headers["etag"]


@pytest.mark.parity("E6")
async def test_several_ranges(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/big.bin", headers={"range": "bytes=900000-,0-9,300000-499999"})
        assert got.status == 206
        assert got.headers["content-length"] == str(len(got.body))
        assert "content-range" not in got.headers
        message = message_from_bytes(f"content-type: {got.headers['content-type']}\r\n\r\n".encode() + got.body)
        _, *parts = message.walk()
        assert [part["content-range"] for part in parts] == [
            f"bytes {span}/{len(BIG)}" for span in ("900000-1000002", "0-9", "300000-499999")
        ]
        assert {part["content-type"] for part in parts} == {"application/octet-stream"}
        for content in (BIG[900_000:], BIG[:10], BIG[300_000:500_000]):
            assert b"\r\n\r\n" + content + b"\r\n--" in got.body


async def test_joined_ranges_are_one(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/big.bin", headers={"range": "bytes=10-19,0-9"})
        assert (got.headers["content-range"], got.body) == (f"bytes 0-19/{len(BIG)}", BIG[:20])


@pytest.mark.parity("E6")
async def test_no_range_can_be_satisfied(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt", headers={"range": "bytes=6-"})
        assert got.status == 416
        assert got.body.startswith(b"416 ")
        assert got.headers["content-range"] == "bytes */6"
        assert (await ask(session, "/empty", headers={"range": "bytes=0-"})).headers["content-range"] == "bytes */0"


@pytest.mark.parametrize(
    "value", ["bytes=2-1", "lines=1-2", "bytes=0-,0-", ["bytes=0-1", "bytes=2-3"], "bytes=" + "0-1," * 17]
)
async def test_ranges_that_are_ignored(site: Path, value: str | list[str]) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt", headers={"range": value})
        assert (got.status, got.body) == (200, b"hello\n")


async def test_ranges_are_for_get(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/a.txt", "HEAD", headers={"range": "bytes=0-1"})
        assert (got.status, got.headers["content-length"]) == (200, "6")


async def test_if_range(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        tag = (await ask(session, "/a.txt")).headers["etag"]
        # The date was set when the file had been there already: it tells nothing apart.
        for value, status in [(tag, 206), (DATE, 200), ('"x"', 200), (f"W/{tag}", 200), (format_date(THEN + 1), 200)]:
            got = await ask(session, "/a.txt", headers={"range": "bytes=0-1", "if-range": value})
            assert (got.status, got.body) == (status, b"he" if status == 206 else b"hello\n"), value
        # RFC 9110 §13.2.2: the other conditions come first.
        headers = {"range": "bytes=0-1", "if-range": tag, "if-none-match": tag}
        assert (await ask(session, "/a.txt", headers=headers)).status == 304
        (site / "plain.txt").write_bytes(b"hello\n")
        date = (await ask(session, "/plain.txt")).headers["last-modified"]
        got = await ask(session, "/plain.txt", headers={"range": "bytes=0-1", "if-range": date})
        assert (got.status, got.body) == (206, b"he")


# -- codings -----------------------------------------------------------------------------------------------------------


async def ask_coded(session: trio_h2.ClientSession, path: str, accept: str) -> Answer:
    got = await ask(session, path, headers={"accept-encoding": accept})
    assert got.headers["vary"] == "accept-encoding"
    return got


@pytest.mark.parametrize(
    ("path", "accept", "coding", "body"),
    [
        ("/page.html", "gzip, br", "br", b"page in brotli"),
        ("/page.html", "gzip, br;q=0.5", "gzip", b"page in gzip, longer"),
        ("/page.html", "zstd, gzip;q=0.1", "gzip", b"page in gzip, longer"),
        ("/page.html", "zstd", None, b"<p>page</p>"),
        ("/page.html", "br, identity;q=0", "br", b"page in brotli"),
        ("/page.html", "gzip;q=0.5, identity", None, b"<p>page</p>"),
        ("/page.html", "*", "br", b"page in brotli"),
        ("/style.css", "br, zstd, gzip", "zstd", b"style in zstd"),
        ("/script.js", "br, zstd, gzip", None, b"run()"),
        ("/page.html.br", "br", None, b"page in brotli"),
    ],
)
async def test_coded_siblings(site: Path, path: str, accept: str, coding: str | None, body: bytes) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask_coded(session, path, accept)
        assert (got.status, got.headers.get("content-encoding"), got.body) == (200, coding, body)
        plain = await ask(session, path)
        assert got.headers["content-type"] == plain.headers["content-type"]
        assert (got.headers["etag"] == plain.headers["etag"]) is (coding is None)


async def test_each_coding_has_a_tag_of_its_own(site: Path) -> None:
    """RFC 9110 §8.8.3.3: else a cache would join parts of one with parts of the other."""
    (site / "page.html.gz").write_bytes(b"page in gzips.")
    settle(site)
    async with session_with(DirectoryHandler(site)) as session:
        tags = {(await ask_coded(session, "/page.html", accept)).headers["etag"] for accept in ("br", "gzip", "zstd")}
        assert len(tags) == 3
        brotli = (await ask_coded(session, "/page.html", "br")).headers["etag"]
        headers = {"accept-encoding": "gzip", "if-none-match": brotli}
        assert (await ask(session, "/page.html", headers=headers)).status == 200
        part = await ask(
            session, "/page.html", headers={"accept-encoding": "br", "range": "bytes=8-", "if-range": brotli}
        )
        assert (part.status, part.body, part.headers["content-encoding"]) == (206, b"brotli", "br")
        assert part.headers["content-range"] == "bytes 8-13/14"


@pytest.mark.parametrize("accept", [None, "gzip", "br", "identity;q=0", "*;q=0"])
async def test_what_is_compressed_by_its_kind(site: Path, accept: str | None) -> None:
    """A compressed SVG has its coding in every answer, for without it browsers show nothing; nor has it siblings."""
    (site / "image.svgz").write_bytes(b"a compressed image")
    (site / "image.svgz.br").write_bytes(b"compressed twice")
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, "/image.svgz", headers={} if accept is None else {"accept-encoding": accept})
        assert (got.status, got.body) == (200, b"a compressed image")
        assert (got.headers["content-type"], got.headers["content-encoding"]) == ("image/svg+xml", "gzip")


async def test_nothing_is_acceptable(site: Path) -> None:
    async with session_with(DirectoryHandler(site)) as session:
        assert (await ask_coded(session, "/page.html", "identity;q=0")).status == 406
        assert (await ask_coded(session, "/page.html", "zstd, *;q=0")).status == 406


async def test_without_codings(site: Path) -> None:
    async with session_with(DirectoryHandler(site, precompressed=False)) as session:
        for accept in ("br", "identity;q=0"):
            got = await ask(session, "/page.html", headers={"accept-encoding": accept})
            assert (got.status, got.body) == (200, b"<p>page</p>")
            assert "vary" not in got.headers


# -- directories -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/sub", "/sub/"),
        ("/sub?a=b/c", "/sub/?a=b/c"),
        ("/%73ub", "/sub/"),
        ("/within", "/within/"),
        ("/odd%20%5C", "/odd%20%5C/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_directory_without_its_slash(site: Path, method: str, path: str, location: str) -> None:
    (site / "odd \\").mkdir()
    (site / "odd \\" / "index.html").touch()
    async with session_with(DirectoryHandler(site)) as session:
        got = await ask(session, path, method)
        assert (got.status, got.headers["location"]) == (301, location)
        assert (await ask(session, location)).status == 200


async def test_no_redirect_to_another_host(site: Path) -> None:
    """A path that begins with two slashes, or with one and a backslash, would name a host in `location`."""
    (site / "evil.test").mkdir()
    (site / "evil.test" / "index.html").touch()
    (site / "\\evil.test").mkdir()
    (site / "\\evil.test" / "index.html").touch()
    async with session_with(DirectoryHandler(site)) as session:
        for path in ("//evil.test", "//evil.test/..", "/%2fevil.test", "///evil.test", "//evil.test/index.html"):
            assert (await ask(session, path)).status == 404
        for path in ("/%5Cevil.test", "/%5cevil.test", "/\\evil.test"):
            assert (await ask(session, path)).headers["location"] == "/%5Cevil.test/"


async def test_other_index(site: Path) -> None:
    (site / "sub" / "start.txt").write_bytes(b"start")
    async with session_with(DirectoryHandler(site, index="start.txt")) as session:
        got = await ask(session, "/sub/")
        assert (got.status, got.body, got.headers["content-type"]) == (200, b"start", TEXT)
        assert (await ask(session, "/")).status == 404
    async with session_with(DirectoryHandler(site, index=None)) as session:
        for path in ("/", "/sub/", "/sub"):
            assert (await ask(session, path)).status == 404
        assert (await ask(session, "/sub/index.html")).headers["content-type"] == HTML


async def test_the_index_of_the_root(site: Path) -> None:
    (site / "index.html").write_bytes(b"front")
    (site / "index.html.gz").write_bytes(b"front in gzip")
    async with session_with(DirectoryHandler(site)) as session:
        for path in ("/", "/?a", "/index.html"):
            assert (await ask(session, path)).body == b"front"
            assert (await ask_coded(session, path, "gzip")).body == b"front in gzip"


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["", ".", "..", "a/b", "/a", "a\0"])
def test_no_index(tmp_path: Path, index: str) -> None:
    with pytest.raises(ValueError, match="index"):
        DirectoryHandler(tmp_path, index=index)


def test_no_cache_control(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cache-control"):
        DirectoryHandler(tmp_path, cache_control="a\nb: c")


async def test_hidden_files(site: Path) -> None:
    async with session_with(DirectoryHandler(site, hidden=True)) as session:
        for path in ("/.env", "/.hidden/x", "/to-hidden"):
            assert (await ask(session, path)).body == SECRET
        for path in ("/..", "/.", "/../secret", "/%2e%2e/secret", "/sub/../a.txt", "/.hidden/../a.txt", "/out"):
            assert (await ask(session, path)).status == 404, path


async def test_well_known_files(site: Path) -> None:
    """RFC 8615: certificates, passwords, and other protocols depend on them. Nothing else is hidden less."""
    (site / ".well-known" / ".hidden").mkdir(parents=True)
    (site / ".well-known" / "security.txt").write_bytes(b"Contact")
    (site / ".well-known" / ".hidden" / "x").write_bytes(SECRET)
    (site / "sub" / ".well-known").mkdir()
    (site / "sub" / ".well-known" / "x").write_bytes(SECRET)
    (site / "security.txt").symlink_to(".well-known/security.txt")
    (site / "nested").symlink_to("sub/.well-known/x")
    async with session_with(DirectoryHandler(site)) as session:
        for path in ("/.well-known/security.txt", "/%2Ewell-known/security.txt", "/security.txt"):
            assert (await ask(session, path)).body == b"Contact"
        for path in (
            "/.well-known/.hidden/x",
            "/sub/.well-known/x",
            "/nested",
            "/.well-known/",
            "/.well-known/../.env",
        ):
            assert (await ask(session, path)).status == 404, path


# -- listings ----------------------------------------------------------------------------------------------------------


async def test_a_listing(site: Path) -> None:
    """What is listed is what is served: nothing hidden, no link that leads out, no pipe."""
    os.utime(site / "sub", (THEN, THEN))
    (site / "<b>&.txt").write_bytes(b"")
    (site / os.fsdecode(b"\xff")).write_bytes(b"")
    (site / "javascript:alert(1)").write_bytes(b"")
    async with session_with(DirectoryHandler(site, listing=True, cache_control="no-cache")) as session:
        got = await ask(session, "/")
        assert (got.status, got.headers["content-type"]) == (200, HTML)
        assert got.headers["content-security-policy"].startswith("default-src 'none'")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cache-control"] == "no-cache"
        assert got.headers["content-length"] == str(len(got.body))
        rows = [line for line in got.body.decode().splitlines() if line.startswith("<tr>")]
        targets = [row.split('"')[1] for row in rows]
        assert targets[:5] == ["./bare/", "./dir/", "./script.js.gz/", "./sub/", "./within/"]
        assert set(targets[5:]) == {
            *("./a.txt", "./big.bin", "./empty", "./%252e%252e", "./a%5Cb", "./inside", "./%3Cb%3E%26.txt", "./%FF"),
            *("./page.html", "./page.html.br", "./page.html.gz", "./style.css", "./style.css.zst", "./script.js"),
            "./javascript%3Aalert%281%29",
        }
        assert '<tr><td><a href="./sub/">sub/</a></td><td>1994-11-06 08:49</td><td></td></tr>' in rows
        assert '<tr><td><a href="./a.txt">a.txt</a></td><td>1994-11-06 08:49</td><td>6</td></tr>' in rows
        assert ">&lt;b&gt;&amp;.txt</a>" in got.body.decode()
        assert ">\N{REPLACEMENT CHARACTER}</a>" in got.body.decode()
        for target in targets:
            answer = await ask(session, target.removeprefix("."))
            assert answer.status == 200, target
        head = await ask(session, "/", "HEAD")
        assert (head.status, head.headers["content-length"], head.body) == (200, got.headers["content-length"], b"")


async def test_listings_of_other_directories(site: Path) -> None:
    (site / ".well-known").mkdir()
    (site / "odd <name>").mkdir()
    (site / "odd <name>" / ".env").write_bytes(SECRET)
    async with session_with(DirectoryHandler(site, listing=True)) as session:
        assert (await ask(session, "/sub/")).body == b"<p>index</p>", "an index comes first"
        assert b'"../"' in (await ask(session, "/sub/deep/")).body
        assert (await ask(session, "/sub/deep?a")).headers["location"] == "/sub/deep/?a"
        odd = (await ask(session, "/odd%20%3Cname%3E/")).body.decode()
        assert "<title>/odd &lt;name&gt;/</title>" in odd
        assert ".env" not in odd
        assert (await ask(session, "/bare/")).status == 200, "its index leads out, so it has none"
        for path in ("/a.txt/", "/absent/", "/.hidden/", "/updir/", "/fifo/", "/sub/index.html/"):
            assert (await ask(session, path)).status == 404, path
        assert b".well-known" in (await ask(session, "/")).body
    async with session_with(DirectoryHandler(site, listing=True, index=None, hidden=True)) as session:
        assert b"index.html" in (await ask(session, "/sub/")).body
        assert (await ask(session, "/sub")).headers["location"] == "/sub/"
        assert b".env" in (await ask(session, "/")).body
    async with session_with(DirectoryHandler(site, listing=True, follow_symlinks=True)) as session:
        assert b"./updir/" in (await ask(session, "/")).body


async def test_a_listing_has_an_end(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_h2.files._listing.MOST", 3)
    async with session_with(DirectoryHandler(site, listing=True)) as session:
        got = (await ask(session, "/")).body.decode()
        assert got.count("<tr>") == 3
        assert "Only 3 entries are shown" in got


def test_where_no_listing_is_possible(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_fd", set())
    with pytest.raises(ValueError, match="listing"):
        DirectoryHandler(site, listing=True)
    DirectoryHandler(site)
    with pytest.raises(TypeError, match="listing"):
        DirectoryHandler(site, listing="yes")  # type: ignore[arg-type]  # that is the test


async def test_links_out_of_the_directory(site: Path) -> None:
    async with session_with(DirectoryHandler(site, follow_symlinks=True)) as session:
        for path in ("/out", "/updir/secret", "/sibling/x"):
            assert (await ask(session, path)).body == SECRET
        for path in ("/..", "/../secret", "/%2e%2e/secret", "/.env", "/loop", "/dangling", "/fifo"):
            assert (await ask(session, path)).status == 404, path


async def test_types_and_charset(site: Path) -> None:
    handler = DirectoryHandler(site, content_types={".bin": "application/x-bin"}, charset=None)
    async with session_with(handler) as session:
        assert (await ask(session, "/a.txt")).headers["content-type"] == "text/plain"
        assert (await ask(session, "/big.bin", headers={"range": "bytes=0-0"})).headers[
            "content-type"
        ] == "application/x-bin"
