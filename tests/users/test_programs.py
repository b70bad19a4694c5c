"""The programs of this folder are written as users write theirs; type checkers look at them, and they run."""

from __future__ import annotations

import trio

from tests.users import chat, downloads, forms, json_server, tunnels


async def test_json_server() -> None:
    answers: list[str] = []
    with trio.fail_after(30):
        await json_server.main(answers)
    assert answers == ["/notes/0", "milk"]


async def test_downloads() -> None:
    sizes: list[int] = []
    await downloads.main(sizes)
    assert sorted(sizes) == [200] * 10 + [300] * 40


async def test_forms() -> None:
    answers: list[tuple[int, str]] = []
    with trio.fail_after(30):
        await forms.main(answers)
    assert answers == [
        (200, "hello ann"),
        (200, '{"user":"ann","colour":"green"}'),
        (401, "who are you?"),
        (200, "/there"),
    ]


async def test_tunnels() -> None:
    answers: list[str] = []
    with trio.fail_after(30):
        await tunnels.main(answers)
    assert answers[0].startswith("hello from 127.0.0.1:")
    assert answers[1:] == ["407", "1 opened"]


async def test_chat() -> None:
    heard: list[str | bytes] = []
    with trio.fail_after(30):
        await chat.main(heard)
    assert heard == ["hello", b"good morning"]
