"""The one exception that means: the user's input is wrong, and here is what to do; and what was meant."""

import copyreg
import difflib
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
