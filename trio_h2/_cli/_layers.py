"""Options from several places: the command line beats variables, and these beat a file."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ._errors import UsageError, one_line
from ._level import Level
from ._setting import Setting, variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._config_file import ConfigFile
    from ._parser import Parser

_OWN = ("help", "config", "print_config")
"""Options that no file can have."""
_WIDTH = 40
"""Of a column of values, unless they are longer."""


class Layers:
    """The options of one command.

    Args:
        parser: of the command. It tells only what was given then, without defaults, and knows ``--no-…`` for each flag.
        alternatives: names of arguments that replace each other: that of the strongest place counts.
        tables: keys of files that are no options, and are read by others.
    """

    def __init__(self, parser: Parser, alternatives: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        self._parser = parser
        self._tables = tables
        self.path: str | None = None
        """The file, when `complete` has found one."""
        self._settings: dict[str, Setting] = {}
        for action in parser.arguments():
            if action.dest not in _OWN:
                rivals = [other.dest for other in parser.rivals(action)]
                if action.dest in alternatives:
                    rivals += [name for name in alternatives if name != action.dest]
                setting = Setting(action, rivals)
                self._settings[setting.key] = setting
        for key, setting in self._settings.items():
            if setting.is_flag:
                off = f"--no-{key}"
                parser.add_argument(off, dest=setting.dest, action="store_false", default=None, help=argparse.SUPPRESS)
        self._result = Level()

    def complete(self, arguments: argparse.Namespace) -> None:
        """Adds to *arguments*, which the parser has made of the command line, what other places say, and defaults.

        Raises:
            UsageError: what they say is wrong.
            SystemExit: what must be given is not, which was said.
        """
        self.path = path = arguments.config or os.environ.get(variable("config")) or None
        levels = [self._of_variables(os.environ), self._of_command_line(arguments)]
        if path is not None:
            from ._config_file import ConfigFile  # it takes time to load, and most commands do without

            levels.insert(0, self._of_file(ConfigFile(path)))
        for level in levels:
            for setting in self._settings.values():
                self._result.replace(setting, level)
        for setting in self._settings.values():
            setattr(arguments, setting.dest, self._result.values.get(setting.dest, setting.default))
        required = {key: setting.dest for key, setting in self._settings.items() if setting.required}
        missing = [key for key, dest in required.items() if not getattr(arguments, dest)]
        if missing:
            self._parser.error(f"the following arguments are required: --{', --'.join(missing)}")

    def text(self) -> str:
        """Returns what `complete` found, as a file in TOML, with where each value comes from. Paths are absolute.

        Raises:
            UsageError: a name of a file is no text.
        """
        from ._config_file import toml

        lines: list[tuple[str, str]] = []
        for key, setting in self._settings.items():
            value = self._result.values.get(setting.dest, setting.default)
            source = self._result.sources[setting.dest] if setting.dest in self._result.values else "default"
            try:
                written = toml(setting.to_toml(value, os.getcwd()))
            except ValueError:
                raise UsageError(f"--{key} has a name that TOML cannot express: {value!r}") from None
            lines.append((f"# {key} =", "not set") if value is None else (f"{key} = {written}", source))
        width = min(max(len(line) for line, _ in lines), _WIDTH)
        options = "".join(f"{line:{width}}  # {one_line(source)}\n" for line, source in lines)
        return options + "".join(self._table_text(name) for name in self._tables)

    def _table_text(self, name: str) -> str:
        """Returns the tables of the file that have a name, as they are there."""
        from ._config_file import ConfigFile, toml

        tables = [] if self.path is None else ConfigFile(self.path).table.get(name, [])
        text = ""
        for table in tables if isinstance(tables, list) else []:
            if isinstance(table, dict):
                text += f"\n[[{name}]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
        return text

    def _of_command_line(self, arguments: argparse.Namespace) -> Level:
        level = Level()
        for setting in {setting.dest: setting for setting in self._settings.values()}.values():
            value: object = getattr(arguments, setting.dest)
            if value is not None and value != []:  # arguments without an option are a list even if there are none
                level.values[setting.dest], level.sources[setting.dest] = value, "command line"
        return level

    def _of_variables(self, variables: Mapping[str, str]) -> Level:
        level = Level()
        for setting in self._settings.values():
            text = variables.get(setting.variable)
            if text:  # one that is empty is not set, as in files of variables that programs share
                try:
                    level.put(setting, setting.from_variable(text), setting.variable)
                except ValueError as exc:
                    raise UsageError(f"{setting.variable} {exc}") from exc
        return level

    def _of_file(self, file: ConfigFile) -> Level:
        level, spellings = Level(), dict[str, str]()
        directory = os.path.dirname(os.path.abspath(file.path))
        for written, value in file.table.items():
            key = written.replace("_", "-")
            if key in self._tables:
                continue
            if key not in self._settings:
                raise file.unknown(written, self._settings)
            if key in spellings:
                raise file.refused(written, f"is there as {spellings[key]}, too")
            spellings[key] = written
            setting = self._settings[key]
            try:
                level.put(setting, setting.from_toml(value, directory), file.path)
            except ValueError as exc:
                raise file.refused(written, str(exc)) from exc
        return level
