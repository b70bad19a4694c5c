import trio
from visits_asgi import app

import trio_h2
from trio_h2 import asgi
from trio_h2.access_log import access_log

PORT = 8080


async def main() -> None:
    config = trio_h2.ServerConfig(enable_connect_protocol=True, drain_timeout=60)
    async with asgi.lifespan(app, mode="on") as state:
        handler = access_log(asgi.handler(app, root_path="/visits", state=state))
        async with trio_h2.open_server(handler, PORT, config=config, allow_http1=True) as server:
            print(f"Listening on {server.url}", flush=True)
            await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
