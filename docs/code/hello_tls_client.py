import trio

import trio_h2


async def main() -> None:
    async with trio_h2.Client(ssl_context=trio_h2.client_ssl_context(ca="ca.pem")) as client:
        response = await client.get("https://localhost:8443/you")
        print(response.text, end="")


if __name__ == "__main__":
    trio.run(main)
