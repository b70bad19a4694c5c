"""SETTINGS: what a side may announce, its bytes, and what is wrong with a value (RFC 9113 §6.5, RFC 8441 §3)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .._field_docs import describe_fields
from .._values import Value
from ._codes import ErrorCode, SettingCode

MAX_SETTINGS: Final = 2**14 // 6
"""Settings in one frame that every peer takes (RFC 9113 §4.2), also if they wait while its limit shrinks."""

_U32: Final = 2**32 - 1
_ENTRY: Final = struct.Struct(">HL")

# Field, code, least and greatest value (RFC 9113 §6.5.2), in the order of the codes, which is the order on the wire.
_NUMBERS: Final = {
    "header_table_size": (SettingCode.HEADER_TABLE_SIZE, 0, _U32),
    "max_concurrent_streams": (SettingCode.MAX_CONCURRENT_STREAMS, 0, _U32),
    "initial_window_size": (SettingCode.INITIAL_WINDOW_SIZE, 0, 2**31 - 1),
    "max_frame_size": (SettingCode.MAX_FRAME_SIZE, 2**14, 2**24 - 1),
    "max_header_list_size": (SettingCode.MAX_HEADER_LIST_SIZE, 0, _U32),
}
_SWITCHES: Final = {
    "enable_push": SettingCode.ENABLE_PUSH,
    "enable_connect_protocol": SettingCode.ENABLE_CONNECT_PROTOCOL,
}
_NAMES: Final = {
    **{code: name for name, (code, _, _) in _NUMBERS.items()},
    **{code: name for name, code in _SWITCHES.items()},
}


@describe_fields
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Settings(Value):
    """A set of settings; `None` means "not given".

    `Settings.defaults()` has the values that hold before anyone sends anything. Settings without a field here
    go into *custom*, by number.

    Raises:
        TypeError: A value has the wrong type (`bool` is no number, a number is no `bool`), or a name is
            unknown.
        ValueError: A value is out of range.
    """

    header_table_size: int | None = None
    """Octets of HPACK table that the peer's encoder may use: 0 … 2³²−1."""
    enable_push: bool | None = None
    """Whether a server may push to us."""
    initial_window_size: int | None = None
    """Octets of DATA a stream may send before it must wait for credit: 0 … 2³¹−1."""
    max_frame_size: int | None = None
    """Greatest frame payload we take: 16384 … 2²⁴−1."""
    max_concurrent_streams: int | None = None
    """Streams the peer may have open at once: 0 … 2³²−1, which is as good as unlimited."""
    max_header_list_size: int | None = None
    """Greatest header section we take, uncompressed, with 32 bytes for each field: 0 … 2³²−1."""
    enable_connect_protocol: bool | None = None
    """Whether a server takes extended CONNECT (RFC 8441)."""
    # A mapping cannot be hashed. Equality looks at it all the same; the hash may be the coarser of the two.
    custom: Mapping[int, int] = field(default_factory=dict, hash=False)
    """Other settings: number 0 … 65535 → value 0 … 2³²−1."""

    def __post_init__(self) -> None:
        for name, (_, low, high) in _NUMBERS.items():
            number: object = getattr(self, name)
            if number is not None:
                _check_number(f"setting {name}", number, low, high)
        for name in _SWITCHES:
            switch: object = getattr(self, name)
            if switch is not None and not isinstance(switch, bool):
                raise TypeError(f"setting {name} must be True or False, not {type(switch).__name__}")
        if not isinstance(self.custom, Mapping):
            raise TypeError(f"custom settings must be a mapping of int to int, not {type(self.custom).__name__}")
        for code, value in self.custom.items():
            _check_number("the number of a custom setting", code, 0, 0xFFFF)
            if code in _NAMES:
                raise ValueError(
                    f"setting {code:#x} must be given as {_NAMES[SettingCode(code)]}, not as a custom setting"
                )
            high = 1 if code == SettingCode.NO_RFC7540_PRIORITIES else _U32
            _check_number(f"custom setting {code:#x}", value, 0, high)
        # The dataclass is frozen; its mapping shall be as well, whatever happens to the one that was passed in.
        object.__setattr__(self, "custom", MappingProxyType(dict(self.custom)))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy can neither be pickled nor copied deeply; what it was made of can.
        return Settings.unpack, (self.pack(),)

    @classmethod
    def defaults(cls) -> Settings:
        """Returns the protocol's initial values, which hold until a SETTINGS frame changes them."""
        return cls(
            header_table_size=4096,
            enable_push=True,
            initial_window_size=65535,
            max_frame_size=16384,
            max_concurrent_streams=_U32,
            max_header_list_size=65535,
            enable_connect_protocol=False,
        )

    def as_dict(self) -> dict[int, int]:
        """Returns the settings that were given, by number, in the order of the numbers, custom ones last."""
        given: dict[int, int] = {}
        for code, name in sorted(_NAMES.items()):
            value: int | None = getattr(self, name)
            if value is not None:
                given[int(code)] = int(value)
        given.update(self.custom)
        return given

    @classmethod
    def from_dict(cls, values: Mapping[int, int]) -> Settings:
        """Returns settings given by number, the inverse of `as_dict`.

        Raises:
            ValueError: A value is out of range.
        """
        return cls.unpack(b"".join(_ENTRY.pack(code, value) for code, value in values.items()))

    def pack(self) -> bytes:
        """Returns the payload of a SETTINGS frame with the settings that were given."""
        return b"".join(_ENTRY.pack(code, value) for code, value in self.as_dict().items())

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview) -> Settings:
        """Returns the settings in the payload of a SETTINGS frame; of a repeated one the last counts.

        Raises:
            TypeError: *data* is not bytes-like.
            ValueError: The length is not a multiple of 6, or a value is out of range.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a SETTINGS payload must be bytes-like, not {type(data).__name__}")
        data = bytes(data)
        if len(data) % _ENTRY.size:
            raise ValueError(f"a SETTINGS payload has 6 bytes for each setting, so {len(data)} bytes cannot be one")
        fields: dict[str, int] = {}
        custom: dict[int, int] = {}
        # RFC 9113 §6.5.3: "The values in the SETTINGS frame MUST be processed in the order they appear".
        for code, value in _ENTRY.iter_unpack(data):
            name = _NAMES.get(code)
            if name is None:
                custom[code] = value
            elif name in _SWITCHES:
                if value > 1:
                    raise ValueError(f"setting {name} must be 0 or 1, not {value}")
                fields[name] = bool(value)
            else:
                fields[name] = value
        return cls(**fields, custom=custom)  # type: ignore[arg-type]  # the switches above are bool


def check_peer_setting(code: int, value: int, *, peer_is_server: bool) -> ErrorCode | None:
    """Returns the error that a received setting is, or `None` if it is fine, as every unknown one is.

    What needs the past is not judged here: a server that takes ENABLE_CONNECT_PROTOCOL back (RFC 8441 §3), or
    a NO_RFC7540_PRIORITIES that changes (RFC 9218 §2.1).
    """
    if code == SettingCode.ENABLE_PUSH:
        # RFC 9113 §6.5.2: "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as a
        # connection error of type PROTOCOL_ERROR."
        bad = value > (0 if peer_is_server else 1)
    elif code == SettingCode.INITIAL_WINDOW_SIZE:
        # RFC 9113 §6.5.2: "Values above the maximum flow-control window size of 2^31-1 MUST be treated as a
        # connection error of type FLOW_CONTROL_ERROR."
        return ErrorCode.FLOW_CONTROL_ERROR if value > 2**31 - 1 else None
    elif code == SettingCode.MAX_FRAME_SIZE:
        bad = not 2**14 <= value <= 2**24 - 1
    elif code in (SettingCode.ENABLE_CONNECT_PROTOCOL, SettingCode.NO_RFC7540_PRIORITIES):
        bad = value > 1
    else:
        bad = False
    return ErrorCode.PROTOCOL_ERROR if bad else None


def _check_number(what: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{what} must be from {low} to {high}, not {value}")
