"""What ASGI passes back and forth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Never, TypeAlias

Application: TypeAlias = Callable[[Never, Never, Never], Awaitable[object]]
"""An ASGI 3 application: an async function, or an object with such a ``__call__``, of ``scope``, ``receive`` and
``send``. Frameworks type these three in many ways: `typing.Never` takes all of them."""
State: TypeAlias = MutableMapping[str, object]
"""What an application keeps from its start on: each request gets a shallow copy, as ``scope["state"]``."""

Scope: TypeAlias = dict[str, object]
"""What an application is told of a request, a WebSocket, or its lifespan."""
Message: TypeAlias = Mapping[str, object]
"""A message from the application: a dict with a ``"type"``."""
Event: TypeAlias = dict[str, object]
"""A message for the application."""

Receive: TypeAlias = Callable[[], Awaitable[Event]]
"""What an application waits for its messages with."""
Send: TypeAlias = Callable[[Message], Awaitable[None]]
"""What an application sends its messages with."""
RunningApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[object]]
"""What an application is when it is called."""
