"""What each side allows the other: windows, frame sizes, and which SETTINGS are in force.

A scripted peer keeps these books for two reasons: to notice at once when the other side sends more
than it may, and to tell a test how much credit it has been given.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from ._frames import SettingCode

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_WINDOW = 65_535
DEFAULT_MAX_FRAME_SIZE = 16_384
MAX_WINDOW = 2**31 - 1

SettingPairs = tuple[tuple[int, int], ...]


class Windows:
    """The flow-control windows of one direction: how many bytes may still be sent (RFC 9113 §5.2).

    Attributes:
        connection: The connection's window.
        initial: The window of a stream that nothing has been sent on yet.
    """

    def __init__(self) -> None:
        self.connection = DEFAULT_WINDOW
        self.initial = DEFAULT_WINDOW
        self._streams: dict[int, int] = {}

    def get(self, stream_id: int) -> int:
        """Returns a stream's window, or the connection's for stream 0."""
        return self._streams.get(stream_id, self.initial) if stream_id else self.connection

    def grant(self, stream_id: int, octets: int) -> None:
        """Enlarges a stream's window, or the connection's for stream 0."""
        if stream_id:
            self._streams[stream_id] = self.get(stream_id) + octets
        else:
            self.connection += octets

    def spend(self, stream_id: int, octets: int) -> None:
        """Takes the bytes of a DATA frame from its stream's and from the connection's window."""
        self.grant(stream_id, -octets)
        self.grant(0, -octets)

    def change_initial(self, value: int) -> None:
        """Applies SETTINGS_INITIAL_WINDOW_SIZE.

        RFC 9113 §6.9.2: "a receiver MUST adjust the size of all stream flow-control windows that it
        maintains by the difference between the new value and the old value."
        """
        difference = value - self.initial
        self.initial = value
        for stream_id in self._streams:
            self._streams[stream_id] += difference


class Limits:
    """Both directions of one connection, seen from the scripted peer.

    Attributes:
        ours: The windows the peer grants: what the other side may still send.
        theirs: The windows the other side grants: what the peer may still send.
        our_max_frame_size: The longest payload the other side may send.
        their_max_frame_size: The longest payload the peer may send.
        our_table_size: The dynamic table the other side's encoder may use.
    """

    def __init__(self) -> None:
        self.ours = Windows()
        self.theirs = Windows()
        self.our_max_frame_size = DEFAULT_MAX_FRAME_SIZE
        self.their_max_frame_size = DEFAULT_MAX_FRAME_SIZE
        self.our_table_size = 4096
        self._unacknowledged: collections.deque[SettingPairs] = collections.deque()

    def settings_sent(self, settings: Iterable[tuple[int, int]]) -> None:
        """Notes SETTINGS of the peer. They bind the other side from its acknowledgement on.

        RFC 9113 §6.5.3: "Once all values have been processed, the recipient MUST immediately emit a
        SETTINGS frame with the ACK flag set."
        """
        self._unacknowledged.append(tuple(settings))

    def settings_acknowledged(self) -> None:
        """Puts the oldest SETTINGS of the peer into force.

        Raises:
            AssertionError: There was nothing to acknowledge.
        """
        assert self._unacknowledged, "the other side acknowledged SETTINGS that were never sent"
        for identifier, value in self._unacknowledged.popleft():
            if identifier == SettingCode.INITIAL_WINDOW_SIZE:
                self.ours.change_initial(value)
            elif identifier == SettingCode.MAX_FRAME_SIZE:
                self.our_max_frame_size = value
            elif identifier == SettingCode.HEADER_TABLE_SIZE:
                self.our_table_size = value

    def settings_received(self, settings: Iterable[tuple[int, int]]) -> None:
        """Applies the other side's SETTINGS."""
        for identifier, value in settings:
            if identifier == SettingCode.INITIAL_WINDOW_SIZE:
                self.theirs.change_initial(value)
            elif identifier == SettingCode.MAX_FRAME_SIZE:
                self.their_max_frame_size = value

    def data_received(self, stream_id: int, octets: int) -> None:
        """Takes received DATA from the granted windows.

        Raises:
            AssertionError: It is more than was granted. RFC 9113 §6.9.1: "The sender MUST NOT send a
                flow-controlled frame with a length that exceeds the space available in either of the
                flow-control windows advertised by the receiver."
        """
        self.ours.spend(stream_id, octets)
        # A frame without bytes needs no space, so it may be sent even with a negative window.
        for window_id, name in ((stream_id, f"stream {stream_id}"), (0, "the connection")):
            left = self.ours.get(window_id)
            assert not octets or left >= 0, (
                f"the other side overran the window of {name}: a DATA frame of {octets} bytes on stream"
                f" {stream_id} where {left + octets} were allowed"
            )

    def window_update_received(self, stream_id: int, increment: int) -> None:
        """Adds credit that the other side granted.

        Raises:
            AssertionError: RFC 9113 §6.9.1: "A sender MUST NOT allow a flow-control window to exceed
                2^31-1 octets."
        """
        self.theirs.grant(stream_id, increment)
        assert self.theirs.get(stream_id) <= MAX_WINDOW, (
            f"the other side made the window of stream {stream_id} exceed 2^31-1 bytes"
        )
