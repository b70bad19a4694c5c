import trio

import trio_h2


async def main() -> None:
    ssl_context = trio_h2.client_ssl_context(ca="ca.pem")
    connect = trio_h2.connect("https://localhost:8443", ssl_context=ssl_context)
    async with connect as session, session.request("GET", "/you") as stream:
        print(await stream.text(), end="")


if __name__ == "__main__":
    trio.run(main)
