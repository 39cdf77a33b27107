"""The one exception that means: the user's input is wrong, and here is what to do."""

from collections.abc import Sequence


class DataError(ValueError):
    """Wrong input data. Its message says what was expected, found, where, and what to do.

    Scripts print it as one line and exit with code 1.
    """


class ProblemsError(DataError):
    """Several mistakes found at once, told in a line each."""

    def __init__(self, lines: Sequence[str]):
        super().__init__("; ".join(lines))
        self.lines = list(lines)

    def __reduce__(self):
        return ProblemsError, (self.lines,)  # errors travel between processes
