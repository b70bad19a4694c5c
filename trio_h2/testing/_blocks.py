"""What the blocks of the test kit share."""

from __future__ import annotations


def is_sole(group: BaseException, error: BaseException) -> bool:
    """Whether *error* is all there is in *group*, so that a block may let it out as it is."""
    while group is not error:
        if not isinstance(group, BaseExceptionGroup) or len(group.exceptions) != 1:
            return False
        group = group.exceptions[0]
    return True
