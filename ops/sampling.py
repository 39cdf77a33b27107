"""The sample rate of everything behind the reading of files."""

SAMPLE_RATE = 44_100  # Hz
