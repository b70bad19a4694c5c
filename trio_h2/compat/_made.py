"""Classes whose objects are made here and nowhere else, though applications may subclass them."""

from __future__ import annotations

import abc
from typing import NoReturn, TypeVar

_T = TypeVar("_T")


class Made(abc.ABCMeta):
    """Metaclass of classes that `request_handler` makes objects of: calling them raises `TypeError`."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuses."""
        raise TypeError(f"{cls.__name__} has no public constructor; request_handler() makes it for each request")

    def _make(cls: type[_T], *args: object, **kwargs: object) -> _T:
        return type.__call__(cls, *args, **kwargs)  # type: ignore[no-any-return]  # what a class returns is its instance
