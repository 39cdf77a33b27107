"""The command line: parsers whose errors are one line, help, and the flags of a run."""
