"""The one exception that means: the user's input is wrong, and here is what to do."""


class DataError(ValueError):
    """Wrong input data. Its message says what was expected, found, where, and what to do.

    Scripts print it as one line and exit with code 1.
    """
