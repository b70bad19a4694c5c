"""Which file a path means, and that none means one outside, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.files.tools import SECRET, descriptors
from trio_h2.files import _paths
from trio_h2.files._paths import Root, Target, is_absent, is_forbidden, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/\0",
        "/..",
        "/.",
        "/a//b",
        "//a",
        "/a//",
        "/a/./b",
        "/a/..",
        "/%2e%2e/a",
        "/.%2E",
        "/a%2f",
        "/a%00b",
        "a/b",
    ],
)
def test_tricks(path: str, hidden: bool) -> None:
    assert parse_target(path, hidden=hidden) is None


@pytest.mark.parametrize(
    ("path", "segments", "directory", "query"),
    [
        ("/", (), True, ""),
        ("/?a", (), True, "?a"),
        ("/a/b%20c/?x/../y", ("a", "b c"), True, "?x/../y"),
        ("/a%252fb", ("a%2fb",), False, ""),
        ("/%ff", (os.fsdecode(b"\xff"),), False, ""),
        ("/a?b?c", ("a",), False, "?b?c"),
        ("/...", ("...",), False, ""),
        # Bytes that are not percent-encoded, as `stream.path` shows them, and characters from elsewhere.
        ("/é/ü?ö".encode().decode("latin-1"), ("é", "ü"), False, "?%C3%B6"),
        ("/\xff", (os.fsdecode(b"\xff"),), False, ""),
        ("/\u20ac", ("\u20ac",), False, ""),
    ],
)
def test_targets(path: str, segments: tuple[str, ...], directory: bool, query: str) -> None:
    assert parse_target(path, hidden=True) == Target(segments, directory, query)


@pytest.mark.parametrize("path", ["/.well-known/x", "/%2ewell-known/", "/.well-known"])
def test_the_one_hidden_name_that_is_for_everybody(path: str) -> None:
    """RFC 8615 §3."""
    assert parse_target(path) is not None


@pytest.mark.parametrize(
    "path",
    ["/.a", "/%2ea", "/a/.b/c", "/...", "/a/.well-known/x", "/.well-known/.x", "/.well-known-x", "/.Well-Known/x"],
)
def test_hidden_names(path: str) -> None:
    assert parse_target(path) is None
    assert parse_target(path, hidden=True) is not None


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/a", "/a/"),
        ("/a/b?c=/d", "/a/b/?c=/d"),
        ("/%5Cevil.test", "/%5Cevil.test/"),
        ("/\\e", "/%5Ce/"),
        ("/%ff ", "/%FF%20/"),
        ("/é?é".encode().decode("latin-1"), "/%C3%A9/?%C3%A9"),
    ],
)
def test_a_slash_is_added(path: str, location: str) -> None:
    target = parse_target(path)
    assert target is not None
    assert target.with_slash() == location


def read(root: Root, *segments: str) -> bytes:
    with os.fdopen(root.open(segments), "rb") as file:
        return file.read()


def failure(root: Root, segments: tuple[str, ...]) -> OSError:
    try:
        os.close(root.open(segments))
    except OSError as exc:
        return exc
    raise AssertionError(f"{segments} can be opened")


@pytest.fixture(params=["walk", "realpath"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems with descriptors of directories, and those without."""
    assert _paths._CAN_WALK
    monkeypatch.setattr(_paths, "_CAN_WALK", request.param == "walk")


@pytest.mark.usefixtures("way")
def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "sub" / "up").symlink_to("../a.txt")
    (root / "round").symlink_to("sub/deep/../../sub/./up")
    (root / "absolute").symlink_to(root / "sub", target_is_directory=True)
    (root / "self").symlink_to(".", target_is_directory=True)
    served = Root(root)
    for segments in [
        ("a.txt",),
        ("inside",),
        ("sub", "up"),
        ("round",),
        ("within", "up"),
        ("absolute", "up"),
        ("self", "a.txt"),
    ]:
        assert read(served, *segments) == b"hello\n", segments


@pytest.mark.usefixtures("way")
def test_links_that_lead_out_are_not_followed(root: Path) -> None:
    (root / "sub" / "far").symlink_to("../../secret")
    (root / "beside").symlink_to(f"{root}2/x")
    (root / "x").write_bytes(b"not what that link means")
    (root / "top").symlink_to("/", target_is_directory=True)
    (root / "back").symlink_to("../site/a.txt")
    served = Root(root)
    steps = str(root.parent).strip("/").split("/")
    for segments in [
        ("out",),
        ("updir", "secret"),
        ("sibling", "x"),
        ("sub", "far"),
        ("beside",),
        ("top", *steps, "secret"),
    ]:
        assert is_absent(failure(served, segments)), segments


@pytest.mark.usefixtures("way")
def test_links_to_hidden_names_are_not_followed(root: Path) -> None:
    for served in (Root(root), Root(root / "sub" / "..")):
        with pytest.raises(FileNotFoundError):
            served.open(("to-hidden",))
    assert read(Root(root, hidden=True), "to-hidden") == SECRET
    assert read(Root(root, hidden=True), ".hidden", "x") == SECRET


@pytest.mark.parametrize("segments", [("out",), ("updir", "secret"), ("sibling", "x"), ("to-hidden",)])
def test_all_links_are_followed_where_that_is_wanted(root: Path, segments: tuple[str, ...]) -> None:
    assert read(Root(root, follow_symlinks=True), *segments) == SECRET


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "segments",
    [("loop",), ("loop", "x"), ("dangling",), ("a.txt", "x"), ("absent",), ("absent", "x"), ("x" * 300,), ("socket",)],
)
def test_what_is_not_there(root: Path, segments: tuple[str, ...]) -> None:
    error = failure(Root(root), segments)
    assert is_absent(error)
    assert not is_forbidden(error)


def test_many_links(root: Path) -> None:
    (root / "0").write_bytes(b"end")
    for number in range(41):
        (root / str(number + 1)).symlink_to(str(number))
    served = Root(root)
    assert read(served, "40") == b"end"
    assert failure(served, ("41",)).errno == errno.ELOOP


def test_a_directory_that_becomes_a_link_at_the_last_moment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two steps: what was opened stays what it was, and what is not yet is not followed out."""
    (root / "victim").mkdir()
    (root / "victim" / "secret").write_bytes(b"harmless")
    served, real_open = Root(root), os.open
    outcomes: list[bytes | None] = []
    for moment in range(4):
        calls = 0

        def racing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None, moment: int = moment) -> int:
            nonlocal calls
            if calls == moment:
                (root / "victim").rename(root / "moved")
                (root / "victim").symlink_to(root.parent, target_is_directory=True)
            calls += 1
            return real_open(path, flags, mode, dir_fd=dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", racing)
            try:
                outcomes.append(read(served, "victim", "secret"))
            except FileNotFoundError:
                outcomes.append(None)
        if calls > moment:
            (root / "victim").unlink()
            (root / "moved").rename(root / "victim")
    assert outcomes == [None, None, b"harmless", b"harmless"]


@pytest.mark.parametrize("hidden", [True, False])
def test_no_path_leads_out(root: Path, hidden: bool) -> None:
    """Thousands of paths, made of what attacks are made of."""
    chance = random.Random(38)
    pieces = ["/", "//", "..", ".", "%2e", "%2E.", "%2f", "%5c", "\\", "%00", ";", "%", "%25", "%c0%af", "?", ":"]
    pieces += [
        "sub",
        "secret",
        "site",
        "site2",
        "x",
        "a.txt",
        "updir",
        "within",
        "sibling",
        "deep",
        "out",
        "index.html",
    ]
    served, found = Root(root, hidden=hidden), set()
    for _ in range(20_000):
        path = "/" + "".join(chance.choice(pieces) + chance.choice(["/", ""]) for _ in range(chance.randrange(1, 7)))
        target = parse_target(path, hidden=hidden)
        if target is None:
            continue
        try:
            fd = served.open(target.segments)
        except OSError as exc:
            if not is_absent(exc):
                raise
            continue
        try:
            found.add(os.fstat(fd).st_ino)
        finally:
            os.close(fd)
    assert {path.stat().st_ino for path in (root, root / "a.txt", root / "sub" / "index.html")} <= found
    assert found <= {path.lstat().st_ino for path in (root, *root.rglob("*"))}


def test_a_root_must_be_a_directory(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Root(root / "a.txt")
    with pytest.raises(FileNotFoundError):
        Root(root / "absent")
    with os.fdopen(Root(root / "sub").open(("index.html",)), "rb") as file:
        assert file.read() == b"<p>index</p>"


def test_the_root_may_be_the_root_of_the_system() -> None:
    os.close(Root("/").open(("proc", "self")))
    os.close(Root("/").open(()))


def test_errors_of_the_system() -> None:
    assert is_forbidden(PermissionError(errno.EACCES, ""))
    assert is_forbidden(PermissionError(errno.EPERM, ""))
    assert not is_absent(OSError(errno.EMFILE, ""))
    assert not is_absent(OSError(errno.EIO, ""))
