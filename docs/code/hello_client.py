import trio

import trio_h2


async def fetch(client: trio_h2.Client, url: str) -> None:
    response = await client.get(url)
    print(response.status, response.text, end="")


async def main() -> None:
    with trio.fail_after(10):
        async with trio_h2.Client(prior_knowledge=True) as client, trio.open_nursery() as nursery:
            nursery.start_soon(fetch, client, "http://localhost:8080/one")
            nursery.start_soon(fetch, client, "http://localhost:8080/two")


if __name__ == "__main__":
    trio.run(main)
