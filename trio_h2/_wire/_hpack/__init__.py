"""Header compression (RFC 7541): bounded tables, linear time, and blocks that are decoded and encoded once."""

from __future__ import annotations

from ._codes import Field as Field
from ._codes import NeverIndexedHeaderTuple as NeverIndexedHeaderTuple
from ._decoder import Block as Block
from ._decoder import Decoder as Decoder
from ._encoder import Encoder as Encoder
from ._errors import HeaderListTooLargeError as HeaderListTooLargeError
from ._errors import HpackError as HpackError
