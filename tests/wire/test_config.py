"""Limits and timeouts: their defaults, their ranges, and how they depend on each other."""

from __future__ import annotations

import dataclasses
import math

import pytest

from trio_h2._wire._config import MIB, ClientConfig, ServerConfig, SessionConfig
from trio_h2._wire._padding import PaddingStrategy

CONFIGS: list[type[SessionConfig]] = [ServerConfig, ClientConfig]
TIMEOUTS = [
    "handshake_timeout",
    "settings_timeout",
    "ping_interval",
    "ping_timeout",
    "idle_timeout",
    "stream_idle_timeout",
    "tcp_keepalive_idle",
    "tcp_user_timeout",
]
GRACES = ["drain_timeout", "linger_timeout"]
MORE_THAN_NONE = ["close_timeout", "tcp_keepalive_interval"]
RATES = ["reset_rate", "overhead_rate"]
RANGES: dict[str, tuple[int, int]] = {
    "stream_window": (0, 2**31 - 1),
    "receive_budget": (65_535, 2**31 - 1),
    "max_frame_size": (16_384, 2**24 - 1),
    "max_header_list_size": (0, 2**32 - 1),
    "header_table_size": (0, 2**32 - 1),
    "max_header_fields": (4, 2**31),
    "max_encoder_table_size": (0, 1024 * 1024),
    "max_session_memory": (1, 2**63),
    "max_send_header_block_length": (1, 2**31),
    "max_queued_control": (1, 2**31),
    "max_queued_replies": (1, 2**31),
    "max_outstanding_pings": (1, 2**31),
    "reset_burst": (1, 2**31),
    "overhead_burst": (1, 2**31),
    "peer_max_concurrent_streams": (1, 2**32 - 1),
    "tcp_keepalive_count": (1, 127),
}


def with_value(config: type[SessionConfig], name: str, value: object) -> SessionConfig:
    small = {"stream_window": 0} if name != "stream_window" else {}
    return config().evolve(**{**small, name: value})


@pytest.mark.parametrize("config", CONFIGS)
def test_every_number_is_checked(config: type[SessionConfig]) -> None:
    """A new field without a range fails here."""
    numbers = {field.name for field in dataclasses.fields(config) if field.init}
    numbers -= {"send_date", "padding", "enable_connect_protocol", "allow_half_open", "rfc7540_priorities"}
    numbers -= {"trusted_proxies", "forwarded_field", "auto_continue", "instruments"}
    own = {"max_session_invalid_frames", "max_session_rejected_streams", "upload_grace_bytes", "upload_grace_timeout"}
    own |= {"max_concurrent_streams", "max_connections", "body_timeout", "last_request_timeout"}
    own |= {"handler_timeout", "handler_wait_timeout", "goaway_timeout", "unknown_protocol_timeout"}
    own |= {"max_reserved_remote_streams", "max_concurrent_pushes", "expect_continue_timeout"}
    own |= {"cancel_burst", "cancel_rate"}
    assert numbers - own == {*TIMEOUTS, *GRACES, *MORE_THAN_NONE, *RATES, *RANGES}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", RANGES)
def test_ranges(config: type[SessionConfig], name: str) -> None:
    low, high = RANGES[name]
    for value in low, high:
        if (name, value) != ("stream_window", high):
            assert getattr(with_value(config, name, value), name) == value
    for value in low - 1, high + 1:
        with pytest.raises(ValueError, match=name):
            with_value(config, name, value)
    for wrong in 1.5, "1", True, b"":
        with pytest.raises(TypeError, match=name):
            with_value(config, name, wrong)


OF_BOTH = [(config, name) for config in CONFIGS for name in [*TIMEOUTS, *GRACES]]
OF_SERVERS = [
    (ServerConfig, name)
    for name in (
        *("handler_timeout", "unknown_protocol_timeout", "body_timeout", "goaway_timeout", "handler_wait_timeout"),
        *("upload_grace_timeout", "last_request_timeout"),
    )
]
NO_TIME_AT_ALL = {*GRACES, "goaway_timeout", "handler_wait_timeout", "upload_grace_timeout", "last_request_timeout"}
"""Where 0 gives no time; elsewhere it sets no limit."""


@pytest.mark.parametrize(("config", "name"), [*OF_BOTH, *OF_SERVERS, (ClientConfig, "expect_continue_timeout")])
def test_timeouts(config: type[SessionConfig], name: str) -> None:
    for value in 1, 0.001, math.inf:
        assert getattr(with_value(config, name, value), name) == value
    assert getattr(with_value(config, name, None), name) == math.inf
    off = with_value(config, name, 0)
    assert getattr(off, name) == getattr(off.evolve(), name) == (0 if name in NO_TIME_AT_ALL else math.inf)
    for value in -1, -math.inf, math.nan:
        with pytest.raises(ValueError, match=f"{name} must be 0 seconds or more"):
            with_value(config, name, value)
    for wrong in "1", True:
        with pytest.raises(TypeError, match=f"{name} must be seconds as"):
            with_value(config, name, wrong)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", [*MORE_THAN_NONE, *RATES])
def test_seconds_and_rates(config: type[SessionConfig], name: str) -> None:
    for value in 1, 0.001, math.inf:
        assert getattr(with_value(config, name, value), name) == value
    unit = "seconds" if name in MORE_THAN_NONE else "frames per second"
    for value in 0, -1, -math.inf, math.nan:
        with pytest.raises(ValueError, match=f"{name} must be more than 0 {unit}"):
            with_value(config, name, value)
    for wrong in None, "1", True:
        with pytest.raises(TypeError, match=f"{name} must be {unit} as"):
            with_value(config, name, wrong)


def test_numbers_of_one_role() -> None:
    for value in 0, 2**32 - 1:
        assert ServerConfig(max_concurrent_streams=value, stream_window=0).max_concurrent_streams == value
    for name in "max_session_invalid_frames", "max_session_rejected_streams", "upload_grace_bytes":
        for value in -1, 2**31 + 1:
            with pytest.raises(ValueError, match=name):
                ServerConfig().evolve(**{name: value})
    for value in -1, 2**32:
        with pytest.raises(ValueError, match="max_concurrent_streams"):
            ServerConfig(max_concurrent_streams=value)
    with pytest.raises(TypeError, match="rfc7540_priorities"):
        ClientConfig(rfc7540_priorities=1)  # type: ignore[arg-type]  # the point of the test
    for value in -1, 2**32:
        for name in "max_reserved_remote_streams", "max_concurrent_pushes":
            with pytest.raises(ValueError, match=name):
                ClientConfig().evolve(**{name: value})
    with pytest.raises(TypeError, match="max_concurrent_streams"):
        ServerConfig(max_concurrent_streams=2.0)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parity("H1", "H3", "H4", "H6", "H7", "H8", "H9", "H11")
def test_defaults() -> None:
    """Whoever changes one changes it here, too."""
    server, client = ServerConfig(), ClientConfig()
    assert (server.max_concurrent_streams, server.stream_window, server.receive_budget) == (128, 128 * 1024, 32 * MIB)
    assert (client.stream_window, client.receive_budget) == (512 * 1024, 64 * MIB)
    assert client.peer_max_concurrent_streams == server.peer_max_concurrent_streams == client.guaranteed_streams == 100
    assert (client.max_reserved_remote_streams, client.max_concurrent_pushes) == (200, 16)
    assert (server.idle_timeout, server.ping_interval, server.ping_timeout) == (120.0, 60.0, 20.0)
    assert (client.idle_timeout, client.ping_interval, client.ping_timeout) == (math.inf, 300.0, 15.0)
    assert client.expect_continue_timeout == 1.0
    assert (server.upload_grace_bytes, server.upload_grace_timeout, server.body_timeout) == (256 * 1024, 1.0, 120.0)
    assert (server.handler_timeout, server.handler_wait_timeout) == (math.inf, 1.0)
    assert server.goaway_timeout == 2.0
    assert server.unknown_protocol_timeout == 10.0
    assert (server.max_session_invalid_frames, server.max_session_rejected_streams) == (1000, 100)
    assert (server.reset_burst, server.reset_rate, server.drain_timeout) == (1000, 33.0, 30.0)
    for config in server, client:
        assert (config.max_encoder_table_size, config.max_send_header_block_length) == (4096, None)
        assert config.padding is PaddingStrategy.NONE
        assert (config.max_frame_size, config.max_header_list_size, config.max_header_fields) == (16_384, 65_535, 128)
        assert (config.handshake_timeout, config.settings_timeout, config.max_outstanding_pings) == (10.0, 10.0, 10)
        assert config.session_memory == config.receive_budget + 16 * MIB
        assert (config.close_timeout, config.linger_timeout) == (1.0, 5.0)
        keepalive = config.tcp_keepalive_idle, config.tcp_keepalive_interval, config.tcp_keepalive_count
        assert (*keepalive, config.tcp_user_timeout) == (45.0, 15.0, 3, 90.0)
    assert server.evolve(max_session_memory=5).session_memory == 5


def test_windows_must_fit_the_budget() -> None:
    """The error names the three numbers."""
    ServerConfig(max_concurrent_streams=10, stream_window=10_000, receive_budget=100_000)
    with pytest.raises(ValueError, match=r"max_concurrent_streams 11 x stream_window 10000 .*receive_budget of 100000"):
        ServerConfig(max_concurrent_streams=11, stream_window=10_000, receive_budget=100_000)
    with pytest.raises(ValueError, match="max_concurrent_streams 1 x stream_window 100001"):
        ClientConfig(stream_window=100_001, receive_budget=100_000)
    assert SessionConfig(stream_window=100_000, receive_budget=100_000).guaranteed_streams == 1


def test_windows_of_pushes_must_fit_the_budget_if_there_are_any() -> None:
    """By default there is room for all pushes beside all requests."""
    client = ClientConfig()
    streams = client.guaranteed_streams + client.max_concurrent_pushes
    assert streams * client.stream_window <= client.receive_budget
    client.check_push()
    small = ClientConfig(stream_window=100_000, receive_budget=500_000, max_concurrent_pushes=4)
    small.check_push()
    with pytest.raises(
        ValueError, match=r"\(1 request \+ max_concurrent_pushes 5\) x stream_window 100000 = 600000 .* of 500000"
    ):
        small.evolve(max_concurrent_pushes=5).check_push()


def test_a_client_guarantees_what_its_budget_covers() -> None:
    assert ClientConfig(stream_window=30_000, receive_budget=100_000).guaranteed_streams == 3
    assert ClientConfig(stream_window=0, peer_max_concurrent_streams=7).guaranteed_streams == 7
    assert ClientConfig(stream_window=10, peer_max_concurrent_streams=7).guaranteed_streams == 7


@pytest.mark.parametrize("config", CONFIGS)
def test_evolve_makes_a_checked_copy(config: type[SessionConfig]) -> None:
    original = config()
    changed = original.evolve(stream_window=1000, ping_timeout=5)
    assert type(changed) is config
    assert (changed.stream_window, changed.ping_timeout) == (1000, 5)
    assert original == config()
    assert changed != original
    with pytest.raises(ValueError, match="stream_window"):
        original.evolve(stream_window=-1)
    with pytest.raises(TypeError):
        original.evolve(no_such_limit=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        original.stream_window = 5  # type: ignore[misc]  # the point of the test
