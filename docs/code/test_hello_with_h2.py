import trio
from hello_server import hello

import trio_h2
from trio_h2.testing import ReferenceClient, memory_transports


async def test_hello_with_h2() -> None:
    client_end, server_end = memory_transports()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio_h2.serve_stream, hello, server_end)
        async with ReferenceClient(client_end) as client:
            exchange = await client.request("GET", "/you")
            assert (exchange.status, exchange.body) == (200, b"hello, /you\n")
