"""A client that goes through proxies. Run it with: python3 client_proxies.py PROXY_URL URL"""

import ssl
import sys

import trio

import trio_h2


async def fetch(proxy: str, url: str) -> str:
    async with trio_h2.Client(proxy=proxy) as client:
        response = await client.get(url)
        return response.text


async def fetch_many(url: str, urls: list[str], context: ssl.SSLContext, proxy_context: ssl.SSLContext) -> list[int]:
    proxy = trio_h2.Proxy(url, ssl_context=proxy_context, headers={"x-department": "research"})
    statuses: list[int] = []
    async with trio_h2.Client(proxy=proxy, ssl_context=context) as client:
        for target in urls:
            response = await client.get(target)
            statuses.append(response.status)
    return statuses


async def fetch_as_the_environment_says(url: str) -> str:
    async with trio_h2.Client(trust_env=True) as client:
        response = await client.get(url)
        return response.text


async def explain(proxy: str, url: str) -> str:
    try:
        return await fetch(proxy, url)
    except trio_h2.ProxyError as error:
        if error.status == 407:
            return f"wrong user or password for {error.proxy}"
        if error.status is None:
            return f"{error.proxy} cannot be reached: {error.__cause__!r}"
        return f"{error.proxy} said {error.status} {error.reason}"


if __name__ == "__main__":
    print(trio.run(explain, sys.argv[1], sys.argv[2]))
