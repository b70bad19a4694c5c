"""`Settings`, its bytes, and the verdict on a peer's settings."""

from __future__ import annotations

import base64
import copy
import dataclasses
import pickle
from typing import cast

import pytest

from trio_h2._wire._codes import ErrorCode, SettingCode
from trio_h2._wire._settings import Settings, check_peer_setting

U31 = 2**31 - 1
U32 = 2**32 - 1

RANGES = [
    ("header_table_size", 0x1, 0, U32),
    ("max_concurrent_streams", 0x3, 0, U32),
    ("initial_window_size", 0x4, 0, U31),
    ("max_frame_size", 0x5, 16384, 2**24 - 1),
    ("max_header_list_size", 0x6, 0, U32),
]
SWITCHES = [("enable_push", 0x2), ("enable_connect_protocol", 0x8)]


def _settings(name: str, value: object) -> Settings:
    return Settings(**{name: cast("int", value)})  # type: ignore[arg-type]  # wrong types are what is tested


@pytest.mark.parity("A8")
def test_nothing_is_given_by_default() -> None:
    settings = Settings()
    for field in dataclasses.fields(Settings):
        assert getattr(settings, field.name) in (None, {})
    assert settings.as_dict() == {}
    assert settings.pack() == b""
    assert Settings.unpack(b"") == settings


@pytest.mark.parity("A8")
def test_defaults() -> None:
    assert Settings.defaults() == Settings(
        header_table_size=4096,
        enable_push=True,
        initial_window_size=65535,
        max_frame_size=16384,
        max_concurrent_streams=U32,
        max_header_list_size=65535,
        enable_connect_protocol=False,
        custom={},
    )
    assert Settings.unpack(Settings.defaults().pack()) == Settings.defaults()
    assert Settings.defaults() is not Settings.defaults()


@pytest.mark.parity("A9")
def test_only_what_is_given_is_packed() -> None:
    assert base64.b64encode(Settings(enable_push=False).pack()) == b"AAIAAAAA"
    assert Settings(initial_window_size=0).pack() == b"\0\4\0\0\0\0"
    assert Settings(enable_connect_protocol=True).pack() == b"\0\x08\0\0\0\1"
    assert Settings(custom={0xFFFF: U32, 0: 0}).pack() == b"\xff\xff\xff\xff\xff\xff" + bytes(6)


@pytest.mark.parity("A9")
def test_as_dict_is_plain_numbers_in_order() -> None:
    settings = Settings(
        custom={0x1234: 7},
        enable_connect_protocol=True,
        max_header_list_size=6,
        max_frame_size=16385,
        initial_window_size=4,
        max_concurrent_streams=3,
        enable_push=True,
        header_table_size=1,
    )
    assert list(settings.as_dict().items()) == [(1, 1), (2, 1), (3, 3), (4, 4), (5, 16385), (6, 6), (8, 1), (0x1234, 7)]
    assert {type(number) for pair in settings.as_dict().items() for number in pair} == {int}
    assert Settings.unpack(settings.pack()) == settings


@pytest.mark.parametrize(("name", "code", "low", "high"), RANGES)
def test_ranges(name: str, code: int, low: int, high: int) -> None:
    for value in (low, high):
        assert _settings(name, value).as_dict() == {code: value}
    for value in (low - 1, high + 1, -1):
        with pytest.raises(ValueError, match=f"setting {name} must be from {low} to {high}, not {value}"):
            _settings(name, value)
    for wrong in (True, 1.0, "1", b"1", [1]):
        with pytest.raises(TypeError, match=f"setting {name} must be an int, not {type(wrong).__name__}"):
            _settings(name, wrong)


@pytest.mark.parity("I2", "I7")
@pytest.mark.parametrize(("name", "code"), SWITCHES)
def test_switches(name: str, code: int) -> None:
    for value in (False, True):
        assert _settings(name, value).as_dict() == {code: int(value)}
    for wrong in (0, 1, "true", 1.0):
        with pytest.raises(TypeError, match=f"setting {name} must be True or False, not {type(wrong).__name__}"):
            _settings(name, wrong)


def test_unknown_names_and_positions_are_refused() -> None:
    with pytest.raises(TypeError, match="max_streams"):
        _settings("max_streams", 1)
    with pytest.raises(TypeError, match="positional"):
        Settings(1)  # type: ignore[call-arg]  # that is the point


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({-1: 0}, "the number of a custom setting must be from 0 to 65535, not -1"),
        ({0x10000: 0}, "the number of a custom setting must be from 0 to 65535, not 65536"),
        ({0xF000: -1}, "custom setting 0xf000 must be from 0 to 4294967295, not -1"),
        ({0xF000: U32 + 1}, "custom setting 0xf000 must be from 0 to 4294967295"),
        ({0x9: 2}, "custom setting 0x9 must be from 0 to 1, not 2"),
        ({0x4: 1}, "setting 0x4 must be given as initial_window_size"),
        ({SettingCode.ENABLE_PUSH: 1}, "setting 0x2 must be given as enable_push"),
    ],
)
def test_custom_settings_out_of_range(custom: dict[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(custom=custom)


@pytest.mark.parametrize("custom", [{"a": 1}, {True: 1}, {0xF000: True}, {0xF000: "1"}, [(0xF000, 1)], None])
def test_custom_settings_of_a_wrong_type(custom: object) -> None:
    with pytest.raises(TypeError, match="custom setting"):
        Settings(custom=cast("dict[int, int]", custom))


def test_settings_are_frozen() -> None:
    given = {0xF000: 1}
    settings = Settings(custom=given)
    given[0xF000] = 2
    assert settings.custom == {0xF000: 1}
    with pytest.raises(TypeError, match="item assignment"):
        cast("dict[int, int]", settings.custom)[0xF000] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.max_frame_size = 16384  # type: ignore[misc]  # that is the point


def test_settings_are_values() -> None:
    settings = Settings(max_frame_size=16385, enable_push=False, custom={0xF000: 1})
    twins = [
        Settings(max_frame_size=16385, enable_push=False, custom={0xF000: 1}),
        dataclasses.replace(settings),
        copy.deepcopy(settings),
        pickle.loads(pickle.dumps(settings)),
    ]
    assert all(twin == settings and hash(twin) == hash(settings) for twin in twins)
    assert settings != dataclasses.replace(settings, custom={0xF000: 2})


@pytest.mark.parity("A10")
@pytest.mark.parametrize("length", [1, 5, 7, 11])
def test_unpack_wants_whole_entries(length: int) -> None:
    with pytest.raises(ValueError, match=f"{length} bytes cannot be one"):
        Settings.unpack(bytes(length))


@pytest.mark.parity("A10")
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\0\2\0\0\0\2", "enable_push must be 0 or 1, not 2"),
        (b"\0\x08\0\0\0\2", "enable_connect_protocol must be 0 or 1, not 2"),
        (b"\0\4\x80\0\0\0", "initial_window_size must be from 0 to 2147483647, not 2147483648"),
        (b"\0\5\0\0\0\0", "max_frame_size must be from 16384"),
        (b"\0\x09\0\0\0\2", "custom setting 0x9 must be from 0 to 1"),
    ],
)
def test_unpack_refuses_bad_values(payload: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.unpack(payload)


@pytest.mark.parity("A10")
@pytest.mark.parametrize("data", ["abcdef", None, 6, [0] * 6])
def test_unpack_wants_bytes(data: object) -> None:
    with pytest.raises(TypeError, match=f"bytes-like, not {type(data).__name__}"):
        Settings.unpack(cast("bytes", data))


@pytest.mark.parity("A10")
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_unpack_takes_all_that_is_bytes_like(kind: type) -> None:
    assert Settings.unpack(kind(b"\0\2\0\0\0\0")) == Settings(enable_push=False)


@pytest.mark.parity("A10")
def test_unpack_keeps_unknown_settings_and_the_last_of_each() -> None:
    payload = b"\x12\x34\0\0\0\7" + b"\0\3\0\0\0\1" + b"\0\2\0\0\0\1" + b"\0\3\0\0\0\2" + b"\x12\x34\0\0\0\x08"
    settings = Settings.unpack(payload)
    assert settings == Settings(max_concurrent_streams=2, enable_push=True, custom={0x1234: 8})
    assert settings.enable_push is True


# -- what peers send ---------------------------------------------------------------------------------------------------

FINE = None
PROTOCOL = ErrorCode.PROTOCOL_ERROR
FLOW = ErrorCode.FLOW_CONTROL_ERROR


@pytest.mark.parametrize(
    ("code", "value", "from_client", "from_server"),
    [
        (0x1, 0, FINE, FINE),
        (0x1, U32, FINE, FINE),
        (0x2, 0, FINE, FINE),
        (0x2, 1, FINE, PROTOCOL),
        (0x2, 2, PROTOCOL, PROTOCOL),
        (0x2, U32, PROTOCOL, PROTOCOL),
        (0x3, 0, FINE, FINE),
        (0x3, U32, FINE, FINE),
        (0x4, 0, FINE, FINE),
        (0x4, U31, FINE, FINE),
        (0x4, U31 + 1, FLOW, FLOW),
        (0x4, U32, FLOW, FLOW),
        (0x5, 0, PROTOCOL, PROTOCOL),
        (0x5, 16383, PROTOCOL, PROTOCOL),
        (0x5, 16384, FINE, FINE),
        (0x5, 2**24 - 1, FINE, FINE),
        (0x5, 2**24, PROTOCOL, PROTOCOL),
        (0x6, 0, FINE, FINE),
        (0x6, U32, FINE, FINE),
        (0x8, 0, FINE, FINE),
        (0x8, 1, FINE, FINE),
        (0x8, 2, PROTOCOL, PROTOCOL),
        (0x9, 1, FINE, FINE),
        (0x9, 2, PROTOCOL, PROTOCOL),
        (0x0, U32, FINE, FINE),
        (0x7, U32, FINE, FINE),
        (0xFFFF, U32, FINE, FINE),
    ],
)
def test_peer_settings(code: int, value: int, from_client: ErrorCode | None, from_server: ErrorCode | None) -> None:
    assert check_peer_setting(code, value, peer_is_server=False) is from_client
    assert check_peer_setting(code, value, peer_is_server=True) is from_server
