import trio

import trio_h2


async def fetch(session: trio_h2.ClientSession, path: str) -> None:
    async with session.request("GET", path) as stream:
        response = await stream.receive_response()
        print(response.status, await stream.text(), end="")


async def main() -> None:
    with trio.fail_after(10):
        async with trio_h2.connect("http://localhost:8080") as session, trio.open_nursery() as nursery:
            nursery.start_soon(fetch, session, "/one")
            nursery.start_soon(fetch, session, "/two")


if __name__ == "__main__":
    trio.run(main)
