"""What TensorBoard's own readers find in the summaries: curves, pictures, hyperparameters."""

import io
import json

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
