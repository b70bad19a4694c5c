import trio
from hello_server import hello

import trio_h2


async def main() -> None:
    config = trio_h2.ServerConfig(max_concurrent_streams=256, idle_timeout=60)
    await trio_h2.serve_tcp(hello, 8080, config=config)


if __name__ == "__main__":
    trio.run(main)
