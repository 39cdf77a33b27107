"""The one exception that means: the user's input is wrong, and here is what to do."""

import copyreg
import difflib
import errno
import os
from collections.abc import Iterable, Sequence


class DataError(ValueError):
    """Wrong input data. Its message says what was expected, found, where, and what to do.

    Scripts print it as one line and exit with code 1.
    """

    def __reduce__(self):
        """Errors travel between processes: unpickled without __init__, whatever a subclass's one takes."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)


class ProblemsError(DataError):
    """Several mistakes found at once, told in a line each."""

    def __init__(self, lines: Sequence[str]):
        super().__init__("; ".join(lines))
        self.lines = list(lines)


def nearest(name: str, names: Iterable[str]) -> str:
    """ " (nearest: 'Bark')", or an empty text where no name is like it."""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1)
    if not near:
        near = [other for other in names if other.lower() == name.lower()][:1]
    return f" (nearest: {near[0]!r})" if near else ""


def raise_lack(error: DataError) -> None:
    """Raises what the machine lacks, memory or file handles, where a file's error comes from that alone."""
    cause = error.__cause__
    if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
        raise MemoryError(str(error)) from error
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        raise OSError(cause.errno, os.strerror(cause.errno), str(error)) from error
