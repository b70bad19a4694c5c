import pytest
from hello_server import hello

from trio_h2.testing import session_pair


@pytest.mark.trio
async def test_hello() -> None:
    async with session_pair(hello) as (client, _), client.request("GET", "/you") as stream:
        assert (await stream.receive_response()).status == 200
        assert await stream.text() == "hello, /you\n"
