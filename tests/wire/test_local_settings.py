"""Our settings over time: what is enforced, what is planned, what is sent next."""

from __future__ import annotations

from trio_h2._wire._config import ClientConfig, ServerConfig
from trio_h2._wire._local_settings import LocalSettings

WINDOW, STREAMS, PUSH, UNKNOWN = 4, 3, 2, 0x99


def acknowledged(config: ServerConfig | ClientConfig) -> LocalSettings:
    settings = LocalSettings(config)
    settings.acknowledge()
    return settings


def test_roles() -> None:
    server, client = LocalSettings(ServerConfig()).in_force, LocalSettings(ClientConfig()).in_force
    assert (server[STREAMS], PUSH in server) == (128, False)
    assert (client[PUSH], STREAMS in client) == (0, False)


def test_the_first_ones_are_in_flight() -> None:
    settings = LocalSettings(ServerConfig())
    assert settings.update({WINDOW: 5}) is None
    first = dict(settings.in_force)
    assert settings.acknowledge() == (first, {WINDOW: 5})
    assert settings.in_force == first
    assert settings.acknowledge() == ({WINDOW: 5}, None)
    assert settings.in_force == {**first, WINDOW: 5}
    assert settings.acknowledge() is None
    assert not settings.pending


def test_the_laxer_value_is_enforced() -> None:
    settings = acknowledged(ServerConfig(max_concurrent_streams=10))
    assert settings.update({STREAMS: 20}) == {STREAMS: 20}
    assert settings.update({STREAMS: 5}) is None
    assert settings.update({STREAMS: 30}) is None
    assert (settings.enforced(STREAMS), settings.planned(STREAMS)) == (20, 30)
    settings.acknowledge()
    assert (settings.in_force[STREAMS], settings.enforced(STREAMS)) == (20, 20)
    settings.acknowledge()
    assert (settings.in_force[STREAMS], settings.enforced(STREAMS)) == (5, 30)
    settings.acknowledge()
    assert settings.enforced(STREAMS) == settings.planned(STREAMS) == 30


def test_a_change_can_be_tried() -> None:
    settings = acknowledged(ServerConfig(max_concurrent_streams=10))
    assert settings.planned(STREAMS, {STREAMS: 15}) == 15
    assert settings.planned(STREAMS, {STREAMS: 5}) == 10
    assert settings.planned(UNKNOWN) == 0
    assert settings.planned(UNKNOWN, {UNKNOWN: 1}) == 1
    assert not settings.pending
