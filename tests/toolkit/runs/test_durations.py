"""Durations read from a log."""

from toolkit.runs.durations import as_text, training_seconds


def test_durations_leave_out_pauses_and_other_folds(tmp_path):
    lines = [
        "2026-01-01 10:00:00 experiment x, device cpu",
        "2026-01-01 10:00:05 fold 0: 9 training and 3 validation clips",
        "2026-01-01 10:00:15 fold 0 epoch 0: train loss 1",  # 10
        "2026-01-01 10:00:16 fold 1: 9 training and 3 validation clips",  # another process
        "2026-01-01 10:00:20 fold 0 epoch 1: train loss 1",  # 5
        "2026-01-01 10:00:22 fold 0: interrupted in epoch 2, batch 1",  # 2
        "2026-01-01 10:00:36 fold 1 epoch 0: train loss 1",  # 20
        "2026-01-01 12:00:00 fold 0: 9 training and 3 validation clips",  # a pause
        "2026-01-01 12:00:01 fold 0: resumed at epoch 2, batch 1",  # 1
        "2026-01-01 11:59:58 fold 0 epoch 2: the clock was set back",
        "2026-01-01 12:00:58 fold 0: metric 0.5",  # 60
        "2026-01-01 13:00:58 fold 0: finished before, nothing to do",
        "2026-99-01 13:00:58 fold 0: no time",
        "no line",
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    assert training_seconds(tmp_path / "log") == 10 + 5 + 2 + 20 + 1 + 60
    assert training_seconds(tmp_path / "none") == 0
    assert [as_text(seconds) for seconds in (0, 59.6, 3723, 90000)] == [
        "0:00:00", "0:01:00", "1:02:03", "25:00:00",
    ]  # fmt: skip
