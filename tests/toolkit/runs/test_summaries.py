"""What TensorBoard's own readers find in the summaries: curves, pictures, hyperparameters; event files."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

import train_2d_cnn
from ops.errors import DataError
from toolkit.runs.summaries import FoldSummaries, write_hparams


def hparams_rows(folder) -> dict[str, tuple[dict, dict]]:
    """{run: ({setting: value}, {metric: value})} by TensorBoard's HParams plugin."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context, request = Context(TBContext(data_provider=provider)), RequestContext()
    run_to_tags = context.hparams_metadata(request, "")
    experiment = context.experiment_from_metadata(request, "", True, run_to_tags, None)
    wanted = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS])
    wanted.col_params.extend(
        api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos if not info.name.group
    )
    handler = list_session_groups.Handler(request, context, "", wanted)
    rows = {}
    for group in handler.run().session_groups:
        (session,) = group.sessions
        settings = {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()}
        rows[session.name] = (settings, {value.name.tag: value.value for value in session.metric_values})
    return rows


def test_hyperparameters_and_final_metric_are_one_row_an_experiment(training_flags, tmp_path):
    folder = tmp_path / "experiments"
    train_2d_cnn.main(training_flags("--folds", "0", label="a", epochs=1))
    other = {"label": "b", "epochs": 1, "p_mixup": 0.5, **noisy(training_flags)}
    train_2d_cnn.main(training_flags("--share_noisy", **other))
    rows = hparams_rows(folder)
    (first, second) = sorted(rows)
    assert first.startswith("a-") and first.endswith("/summaries/hparams")
    settings, metrics = rows[first]
    assert settings["p_mixup"] == 0 and settings["scheduler"] == "1cycle_0.0001_0.01"
    assert settings["n_classes"] == 8 and settings["share_noisy"] is False
    assert set(metrics) == {"metric_fold0"}
    settings, metrics = rows[second]
    assert settings["p_mixup"] == 0.5 and settings["share_noisy"] is True
    results = json.loads((folder / second.split("/")[0] / "results.json").read_text())
    assert metrics["metric"] == pytest.approx(results["metric"], rel=1e-6)
    assert metrics["metric_fold1"] == pytest.approx(results["fold1"]["metric"], rel=1e-6)

    # The other fold of the first experiment: its row gets the final metric, and stays one.
    train_2d_cnn.main(training_flags("--folds", "1", "--resume", label="a", epochs=1))
    rows = hparams_rows(folder)
    assert set(rows) == {first, second} and set(rows[first][1]) == {"metric_fold0", "metric_fold1", "metric"}


def noisy(training_flags) -> dict:
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in training_flags() if "=" in flag)
    return {"noisy_train_df": flags["train_df"], "noisy_train_data_dir": flags["train_data_dir"]}


def test_curves_have_the_same_tags_in_all_folds_and_pictures_are_coloured(training_flags, only_experiment):
    train_2d_cnn.main(training_flags(epochs=1, log_interval=1))
    tags = []
    for fold in (0, 1):
        folder = only_experiment() / "summaries" / f"fold_{fold}"
        train, valid = (EventAccumulator(str(folder / part)).Reload() for part in ("train", "valid"))
        tags.append([{tag for tag in part.Tags()["scalars"] if "/" not in tag} for part in (train, valid)])
        for tag in train.Tags()["images"]:
            assert tag.startswith("spectrograms/")
            image = np.asarray(Image.open(io.BytesIO(train.Images(tag)[0].encoded_image_string)))
            assert image.ndim == 3 and image.shape[0] > 256 and image.shape[1] > 256
            assert (np.ptp(image.astype(int), axis=2) > 40).any(), "colours"
    assert tags[0] == tags[1] == [{"loss", "lwlrap", "learning_rate"}, {"loss", "lwlrap"}]


def test_tensorboard_summaries_open(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=2, log_interval=1))
    curves = {}
    for part in ("train", "valid"):
        accumulator = EventAccumulator(str(only_experiment() / "summaries/fold_0" / part))
        curves[part] = accumulator.Reload()
    steps = [event.step for event in curves["train"].Scalars("loss")]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in curves["valid"].Scalars("lwlrap")] == [3, 6]
    assert {"loss", "lwlrap", "learning_rate"} <= set(curves["train"].Tags()["scalars"])
    assert any(tag.startswith("lwlrap_per_class/") for tag in curves["valid"].Tags()["scalars"])
    images = curves["train"].Tags()["images"]
    assert len(images) == 4 and all(tag.startswith("spectrograms/") for tag in images)


def losses(folder) -> list[tuple[int, float]]:
    """(step, value) as TensorBoard reads them."""
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_the_names_of_event_files_tell_no_host(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "secret-host")
    FoldSummaries(tmp_path, "mel_512_512_16", 3).close()
    write_hparams(tmp_path / "hparams", {"lr": 0.1}, {"metric": 0.5}, 2)
    for part, step in (("train", 3), ("valid", 3), ("hparams", 0)):
        (file,) = (tmp_path / part).iterdir()
        assert file.name.startswith("events.out.tfevents.")
        assert file.name.endswith(f".run.{step}.{os.getpid()}")


def test_a_resumed_run_drops_what_a_killed_one_wrote_after_its_checkpoint(tmp_path):
    killed = FoldSummaries(tmp_path, "mel_512_512_16")
    for step in (1, 2, 3):
        killed.training_step(step, 10.0 * step, 0.5, 0.1)
    killed.train.flush()
    resumed = FoldSummaries(tmp_path, "mel_512_512_16", 2)
    resumed.training_step(2, 21, 0.5, 0.1)
    resumed.training_step(3, 31, 0.5, 0.1)
    resumed.close()
    assert losses(tmp_path / "train") == [(1, 10), (2, 21), (3, 31)]


def test_values_that_are_not_finite_leave_a_gap(tmp_path):
    summaries = FoldSummaries(tmp_path, "mel_512_512_16")
    for step, loss in enumerate([1.0, np.nan, np.inf, 2.0]):
        summaries.training_step(step, loss, 0.5, 0.1)
    summaries.close()
    assert losses(tmp_path / "train") == [(0, 1), (3, 2)]


def test_a_record_cut_off_in_the_middle_costs_only_itself(tmp_path):
    summaries = FoldSummaries(tmp_path, "mel_512_512_16")
    for step in range(5):
        summaries.training_step(step, step, 0.5, 0.1)
    summaries.close()
    (file,) = (tmp_path / "train").iterdir()
    file.write_bytes(file.read_bytes()[:-70])  # the last learning rate and a part of the score before it
    assert losses(tmp_path / "train") == [(step, step) for step in range(5)]


def test_a_full_disk_is_told_in_a_line(tmp_path, monkeypatch):
    summaries = FoldSummaries(tmp_path, "mel_512_512_16")
    summaries.training_step(0, 1.0, 0.5, 0.1)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="train: cannot be written .No space left on device."):
        summaries.train.flush()
