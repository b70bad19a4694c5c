"""Sends requests without a pause, and counts what comes back. Run it with: python3 restart_load.py URL SECONDS"""

import sys
from collections import Counter

import trio

import trio_h2


async def client(url: str, answers: Counter[str]) -> None:
    """One client: a session, and a new one each time the server says that it leaves."""
    while True:
        try:
            async with trio_h2.connect(url) as session:
                await use(session, answers)
        except OSError:
            answers["connected again"] += 1  # nobody has listened; nothing was sent
            await trio.sleep(0.1)


async def use(session: trio_h2.ClientSession, answers: Counter[str]) -> None:
    while not session.closed:
        try:
            async with session.request("GET") as stream:
                await stream.receive_response()
                answers[await stream.text()] += 1
        except (trio_h2.StreamError, trio_h2.SessionError) as error:
            if error.retryable:
                answers["sent again"] += 1  # the server has not begun it
            else:
                answers[f"LOST: {error!r}"] += 1


async def main(url: str, seconds: float) -> Counter[str]:
    answers: Counter[str] = Counter()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(client, url, answers)
    return answers


if __name__ == "__main__":
    for answer, number in sorted(trio.run(main, sys.argv[1], float(sys.argv[2])).items()):
        print(number, answer.strip())
