"""A lock on a folder, by a file in it: the system takes it back when the program that holds it ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys

# The place of the byte that is locked on Windows, where locked bytes cannot be read: beyond any content.
_LOCKED_BYTE = 2**40


class Taken(Exception):
    """Another program holds the lock."""


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed.

    Parameters
    ----------
    descriptor : int
        Of a file that is open for writing.

    Returns
    -------
    bool
        False where the file system has no locks.

    Raises
    ------
    Taken
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise Taken from None
        return False
    return True
