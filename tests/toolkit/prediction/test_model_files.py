"""Exported files give the experiment's own probabilities, whatever the network, length and batch."""

import builtins
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

import export_model
import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn
from networks.classifiers import NetworkConfig, build_classifier
from networks.export import PairMaximum, WaveformTagger
from ops.errors import DataError
from toolkit.prediction.model_files import FORMATS

ROOT = Path(__file__).resolve().parents[3]
SHAPES = [(1, 1), (1, 100), (3, 5000), (1, 44_321)]


def networks(kind: str, features: str, aggregation: str) -> list[torch.nn.Module]:
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = build_classifier(NetworkConfig(kind, features, 5, 2, 4, 1.5, 0, aggregation)).eval()
        for norm in model.modules():
            if hasattr(norm, "running_var"):
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 2)
        models.append(model)
    return models


def signal(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(shape[-1])) - 0.5


@torch.no_grad()
def own(models, waveform) -> np.ndarray:
    return torch.stack([model(waveform).sigmoid() for model in models]).mean(0).numpy()


@pytest.mark.parametrize(
    "kind, features", [("2d", "mel_512_256_16"), ("2d", "stft_64_64"), ("1d", "stft_255_100")]
)
@pytest.mark.parametrize("aggregation", ["max", "rnn"])
def test_onnx_of_all_kinds_of_network(kind, features, aggregation):
    models = networks(kind, features, aggregation)
    content = FORMATS["onnx"].write(WaveformTagger(models).eval(), list("abcde"))
    run = FORMATS["onnx"].run(content)
    for shape in SHAPES:
        found = run(signal(*shape).numpy())
        np.testing.assert_allclose(found, own(models, signal(*shape)), atol=2e-6)
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert metadata == {"classes": '["a", "b", "c", "d", "e"]', "sample_rate": "44100"}


@pytest.mark.parametrize("kind, features", [("2d", "mel_512_256_16"), ("1d", "stft_255_100")])
def test_torch_export(kind, features, tmp_path):
    models = networks(kind, features, "max")[:1]
    content = FORMATS["torch_export"].write(WaveformTagger(models).eval(), list("abcde"))
    run = FORMATS["torch_export"].run(content)
    for shape in SHAPES:
        np.testing.assert_allclose(
            run(signal(*shape).numpy()), own(models, signal(*shape)), atol=2e-6, err_msg=str(shape)
        )
    path, extra = tmp_path / "tagger.pt2", {"classes": ""}
    path.write_bytes(content)
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra["classes"]) == list("abcde")


def test_pairs_are_pooled_as_max_pool_does():
    for shape, pool in (((2, 3, 7), torch.nn.MaxPool1d(2)), ((2, 3, 6, 9), torch.nn.MaxPool2d(2))):
        assert torch.equal(PairMaximum()(signal(*shape)), pool(signal(*shape)))


def experiment_of(script, training_flags, tmp_path, **changed) -> Path:
    script.main(training_flags(epochs=1, **changed))
    (directory,) = (tmp_path / "experiments").iterdir()
    return directory


def test_an_experiment_is_exported_and_used_without_this_repository(toy, training_flags, tmp_path, capsys):
    experiment = experiment_of(train_2d_cnn, training_flags, tmp_path)
    output = tmp_path / "tagger.onnx"
    export_model.main(
        [f"--experiment={experiment}", f"--output={output}", f"--verify_data_dir={toy.folder / 'test'}"]
        + [f"--verify_df={toy.folder / 'sample_submission.csv'}"]
    )
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.startswith("largest difference to the experiment's own") and printed.endswith("8 clips")
    assert float(printed.split(": ")[1].split(",")[0]) < 1e-5

    clip = toy.folder / "test" / "test_0002.wav"
    command = [sys.executable, str(ROOT / "examples" / "tag_with_onnx.py"), str(output), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    predict_2d_cnn.main(
        [f"--experiment={experiment}", "--inputs", str(clip), f"--output_df={tmp_path / 'own.csv'}"]
        + ["--device=cpu", "--num_workers=0"]
    )
    expected = pd.read_csv(tmp_path / "own.csv").set_index("fname").loc["test_0002.wav"]
    best = expected.sort_values(ascending=False).head(3)
    assert done.stdout.splitlines() == [f"{value:.3f} {name}" for name, value in best.items()]


def test_a_gru_is_exported_as_onnx_and_refused_by_torch_export(training_flags, tmp_path, capsys):
    experiment = experiment_of(train_hierarchical_cnn, training_flags, tmp_path, aggregation_type="rnn")
    output = tmp_path / "tagger"
    with pytest.raises(DataError, match="cannot hold.*--aggregation_type=rnn; export with --format onnx"):
        export_model.main([f"--experiment={experiment}", f"--output={output}", "--format=torch_export"])
    assert not output.exists()
    export_model.main([f"--experiment={experiment}", f"--output={output}", "--quiet"])
    assert output.exists() and "5 random signals" in capsys.readouterr().out.splitlines()[-1]


def test_a_file_that_differs_is_not_kept(training_flags, tmp_path, monkeypatch):
    experiment = experiment_of(train_2d_cnn, training_flags, tmp_path)
    own_prediction = export_model.own_prediction
    monkeypatch.setattr(export_model, "own_prediction", lambda *args: own_prediction(*args) + 2e-4)
    output = tmp_path / "tagger.onnx"
    with pytest.raises(DataError, match="not written, largest difference.*: 2.0e-04.*at most 0.0001"):
        export_model.main([f"--experiment={experiment}", f"--output={output}"])
    assert not output.exists()


def test_an_unfinished_experiment_is_refused(training_flags, tmp_path):
    train_2d_cnn.main(training_flags("--folds", "1", epochs=1))
    (experiment,) = (tmp_path / "experiments").iterdir()
    with pytest.raises(DataError, match=r"folds \[0\] are not finished"):
        export_model.main([f"--experiment={experiment}", f"--output={tmp_path / 'tagger.onnx'}"])


def test_missing_packages_are_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else builtins)
    with pytest.raises(SystemExit) as stopped:
        export_model.parse_args(["--experiment=e", "--output=o"])
    assert stopped.value.code == 2
    assert "needs the packages onnx: pip install -r requirements-export.txt" in capsys.readouterr().err
