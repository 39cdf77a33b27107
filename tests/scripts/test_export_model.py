"""export_model.py: the file used without this repository, and what is refused."""

import builtins
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import soxr

import export_model
import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn
from ops.errors import DataError
from repository import ROOT
from toolkit.prediction import model_files


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

    audio, _ = soundfile.read(clip)
    soundfile.write(tmp_path / "again.wav", soxr.resample(audio, 44100, 48000), 48000, subtype="FLOAT")
    options = {"capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run([*command[:-1], "again.wav"], cwd=tmp_path, **options)
    assert done.stdout.splitlines()[0].endswith(best.index[0]) and not done.stderr
    done = subprocess.run(command[:-1], **options)
    assert done.returncode == 1 and done.stderr.startswith("Tags a sound") and "Traceback" not in done.stderr


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
    own_prediction = model_files.own_prediction
    monkeypatch.setattr(model_files, "own_prediction", lambda *args: own_prediction(*args) + 2e-4)
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
