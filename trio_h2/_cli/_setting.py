"""One option of a command, as variables and files spell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._binds import Bind
from ._kinds import TEXT, Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FLAGS = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("0", "false", "no", "off"), False)}


class Setting:
    """One option.

    Args:
        action: the parser's idea of it. Its default is taken out, so that the parser tells whether it was given; and it
            need not be given on the command line any more.
        rivals: the names of the attributes that it replaces when it is given.
    """

    def __init__(self, action: argparse.Action, rivals: Sequence[str]) -> None:
        self.dest = action.dest
        self.rivals = rivals
        self.key = key_of(action)
        """What it is called in files."""
        self.variable = variable(self.key)
        self.default: object = action.default
        self.required = action.required
        self.is_flag = action.nargs == 0
        self.is_list = isinstance(action.default, list)
        self.kind: Kind[object] = action.type if isinstance(action.type, Kind) else TEXT
        self._choices = None if action.choices is None else tuple(map(str, action.choices))
        action.default, action.required = None, False

    def from_variable(self, text: str) -> object:
        """Reads the text of a variable.

        Raises:
            ValueError: what is wrong with it.
        """
        if self.is_flag:
            if text.lower() not in _FLAGS:
                raise ValueError(f"must be one of {', '.join(_FLAGS)}, not {text!r}")
            return _FLAGS[text.lower()]
        if self.is_list:
            return [self._read(part.strip()) for part in text.split(",")]
        return self._read(text)

    def from_toml(self, value: object, directory: str) -> object:
        """Reads a value of a file.

        Args:
            value: as TOML has it.
            directory: where paths begin.

        Raises:
            ValueError: what is wrong with it.
        """
        if self.is_flag:
            if not isinstance(value, bool):
                raise ValueError(f"must be true or false, not {_shown(value)}")
            return value
        if self.is_list:
            return [self._item(item, directory) for item in (value if isinstance(value, list) else [value])]
        return self._item(value, directory)

    def to_toml(self, value: object, directory: str) -> object:
        """The inverse of `from_toml`, for what it or the command line has read; of a list that several options share,
        it returns the part of this one.
        """
        if isinstance(value, (list, tuple)):
            mine = [item for item in value if not isinstance(item, Bind) or item.option == self.key]
            return [self.to_toml(item, directory) for item in mine]
        if isinstance(value, Bind):
            value = value.argument
        if isinstance(value, str) and self.kind.numeric:
            return int(value)
        if isinstance(value, str) and value and self.kind.absolute is not None:
            return self.kind.absolute(directory, value)
        return value

    def _item(self, value: object, directory: str) -> object:
        if self.kind.numeric:
            if isinstance(value, str):
                self.kind.read(value)  # which may have more to say
                raise ValueError(f"must be a number without quotes, not {_shown(value)}")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"must be a number, not {_shown(value)}")
            return self.kind.read(str(value))
        if not isinstance(value, str):
            allowed = "a string" if self._choices is None else f"one of {', '.join(self._choices)}"
            raise ValueError(f"must be {allowed}, not {_shown(value)}")
        if self.kind.absolute is not None and value:
            value = self.kind.absolute(directory, value)
        return self._read(value)

    def _read(self, text: str) -> object:
        if self._choices is not None and text not in self._choices:
            raise ValueError(f"must be one of {', '.join(self._choices)}, not {text!r}")
        return self.kind.read(text)


def key_of(action: argparse.Action) -> str:
    """Returns what an option is called in files."""
    return max(action.option_strings, key=len).lstrip("-") if action.option_strings else action.dest


def variable(key: str) -> str:
    """Returns the name of the variable of an option."""
    return f"TRIO_H2_{key.upper().replace('-', '_')}"


def _shown(value: object) -> str:
    from ._config_file import toml

    return toml(value)
