"""What one place says of options: a file, the variables, or the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._setting import Setting


class Level:
    """Values by the names of their attributes, and where each comes from."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.sources: dict[str, str] = {}

    def put(self, setting: Setting, value: object, source: str) -> None:
        """Adds a value; one more of a list that several options share goes to its end.

        Args:
            setting: whose it is.
            value: the value.
            source: where it stands, for people.

        Raises:
            ValueError: it excludes another one that is here.
        """
        for rival in setting.rivals:
            if value is not False and self.values.get(rival, False) is not False:
                raise ValueError(f"excludes {rival.replace('_', '-')}, which is given, too")
        former = self.values.get(setting.dest)
        if isinstance(value, list) and isinstance(former, list):
            value = [*former, *value]
        self.values[setting.dest] = value
        sources = dict.fromkeys([*self.sources.get(setting.dest, source).split(", "), source])
        self.sources[setting.dest] = ", ".join(sources)

    def replace(self, setting: Setting, stronger: Level) -> None:
        """Puts what a stronger place says over what is here, if it says anything."""
        if setting.dest not in stronger.values:
            return
        value = stronger.values[setting.dest]
        if value is not False:
            for rival in setting.rivals:
                if rival not in stronger.values:
                    self.values.pop(rival, None)
        self.values[setting.dest] = value
        self.sources[setting.dest] = stronger.sources[setting.dest]
