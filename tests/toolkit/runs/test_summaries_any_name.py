"""Whatever classes and clips are called, each has its own tag in TensorBoard, and one that can be read."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from toolkit.runs.summaries import FoldSummaries

HOSTILE = [
    "a b",
    "a_b",
    "a/b",
    "a?b",
    "/a",
    "a",
    "//a",
    "a/",
    "ä",
    "a\nb",
    "Bark, Run",
    "\\",
    "\0",
    "猫",
    "😀",
    ".",
]
NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(HOSTILE))


def check_tags(folder, names: list[str]) -> None:
    summaries = FoldSummaries(folder, "mel_64_64_8")
    summaries.validation(1, 0.5, 0.5, np.arange(len(names)) / 100, names)
    summaries.spectrograms(np.zeros((len(names), 8, 4)), [4] * len(names), names)
    summaries.close()
    valid, train = (EventAccumulator(str(folder / part)).Reload() for part in ("valid", "train"))
    expected = {f"lwlrap_per_class/{name}": n for n, name in enumerate(names)}
    assert set(valid.Tags()["scalars"]) == {"loss", "lwlrap", *expected}
    for tag, n in expected.items():
        (event,) = valid.Scalars(tag)
        assert abs(event.value - n / 100) < 1e-6
    assert set(train.Tags()["images"]) == {f"spectrograms/{n}_{name}" for n, name in enumerate(names[:8])}


def test_hostile_names(tmp_path):
    check_tags(tmp_path, HOSTILE)


@settings(max_examples=40, deadline=None)
@given(names=NAMES.map(lambda names: list(dict.fromkeys(names))[:3]))
def test_any_names(tmp_path_factory, names):
    check_tags(tmp_path_factory.mktemp("summaries"), names)
