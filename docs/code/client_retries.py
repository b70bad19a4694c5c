import ssl

import trio_h2


def client(context: ssl.SSLContext) -> trio_h2.Client:
    retry = trio_h2.Retry(attempts=5, idempotent=True, statuses={429, 502, 503, 504}, max_retry_after=30)
    return trio_h2.Client(ssl_context=context, retry=retry)


async def order(client: trio_h2.Client, url: str, key: str, item: str) -> int:
    headers = {"idempotency-key": key}
    response = await client.post(url, json={"item": item}, headers=headers)
    return response.status
