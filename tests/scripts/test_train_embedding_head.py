"""train_embedding_head.py from end to end, and the scripts that take its experiments."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import export_model
import list_experiments
import predict_2d_cnn
import report_experiment
import run_noisy_rounds
import train_embedding_head
from command_lines import usage_error
from ops.errors import DataError
from real_processes import outcome
from tiny_backbones import SIZE, onnx_backbone
from toolkit.clips.sound_files import read_audio
from toolkit.prediction.tagger import Tagger


@pytest.fixture
def head_flags(toy, tmp_path):
    """head_flags(folder, ...) -> a tiny run on the tiny ONNX network's embeddings into tmp_path/folder."""
    backbone = onnx_backbone(tmp_path / "backbone")

    def flags(folder: str = "experiments", *extra: str, **changed: object) -> list[str]:
        values = {
            "backbone": backbone,
            "train_df": toy.folder / "train_curated.csv",
            "train_data_dir": toy.folder / "train_curated",
            "classmap": toy.classmap,
            "test_data_dir": toy.folder / "test",
            "sample_submission": toy.folder / "sample_submission.csv",
            "n_folds": 2,
            "epochs": 2,
            "num_workers": 0,
            "device": "cpu",
            "experiments_dir": tmp_path / folder,
            "cache": tmp_path / "cache",
            **changed,
        }
        given = [f"--{key}={value}" for key, value in values.items() if value is not None]
        return [*given, *(() if "--folds" in extra else ("--folds", "0", "1")), *extra]

    return flags


def test_a_head_learns_and_all_other_scripts_take_its_experiment(
    toy, head_flags, only_experiment, tmp_path, capsys
):
    schedule = {"epochs": 60, "scheduler": "1cycle_0.0001_0.01"}
    train_embedding_head.main(head_flags(**schedule, hidden=16, batch_size=4, p_mixup=0))
    experiment = only_experiment()
    history = pd.read_csv(experiment / "history" / "fold_0.csv")
    assert history["train_lwlrap"].iloc[-1] > history["train_lwlrap"].iloc[0] + 0.1
    config = json.loads((experiment / "config.json").read_text())
    assert config["network"]["kind"] == "embedding" and config["network"]["embedding_size"] == 2 * SIZE
    assert config["train"]["optimizer"] == "adam"

    output = tmp_path / "out.csv"
    clips = [
        "--test_df",
        str(toy.folder / "sample_submission.csv"),
        "--test_data_dir",
        str(toy.folder / "test"),
    ]
    predict = [f"--experiment={experiment}", f"--output_df={output}", "--device=cpu", "--num_workers=0"]
    predict_2d_cnn.main([*predict, *clips, f"--classmap={toy.classmap}", f"--cache={tmp_path / 'cache'}"])
    own = pd.read_csv(experiment / "predictions" / "submission.csv")
    pd.testing.assert_frame_equal(pd.read_csv(output), own[pd.read_csv(output).columns], atol=1e-6)
    predict_2d_cnn.main([*predict, "--inputs", str(toy.folder / "test"), "--top_k=1"])
    again = pd.read_csv(output).set_index("fname").loc[own["fname"]]
    np.testing.assert_allclose(again, own.set_index("fname")[again.columns], atol=1e-6)

    capsys.readouterr()
    tags = ["--inputs", str(toy.folder / "test"), f"--cache={tmp_path / 'cache'}"]
    predict_2d_cnn.main([f"--experiment={experiment}", "--device=cpu", "--num_workers=0", *tags])
    assert capsys.readouterr().out.count(".wav ") == len(own)
    assert json.loads((experiment / "tags.json").read_text())["familiarity"] == {}
    times = [f"--page={tmp_path / 'times.html'}", "--adapt_batch_norm"]  # a head has no front end to show
    predict_2d_cnn.main([f"--experiment={experiment}", "--device=cpu", "--num_workers=0", *tags, *times])
    assert (tmp_path / "times.html").exists()
    with pytest.raises(DataError, match="takes embeddings, which are of files, not of arrays"):
        Tagger.load(experiment).predict(np.full(44_100, 0.1), 44_100)

    page = tmp_path / "page.html"
    report_experiment.main([f"--experiment={experiment}", f"--output={page}", "--max_clips=2"])
    assert "tiny.onnx" in page.read_text()
    capsys.readouterr()
    list_experiments.main([f"--experiments_dir={experiment.parent}"])
    assert experiment.name in capsys.readouterr().out
    check_export(experiment, toy.folder, own, tmp_path / "x.onnx")


def check_export(experiment, data, own, output):
    """One file of waveforms, the backbone inside; it says what the experiment says of test clips."""
    import onnxruntime

    export_model.main([f"--experiment={experiment}", f"--output={output}"])
    clips = [f"--verify_df={data / 'sample_submission.csv'}", f"--verify_data_dir={data / 'test'}"]
    export_model.main([f"--experiment={experiment}", f"--output={output}", *clips])
    session = onnxruntime.InferenceSession(output)
    assert [(one.name, one.shape[1]) for one in session.get_inputs()] == [("waveform", "samples")]
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    fnames = own["fname"].tolist()[:3]
    audio = [read_audio(data / "test" / fname) for fname in fnames]
    for clip, expected in zip(audio, own[classes].to_numpy(), strict=False):
        (alone,) = session.run(["probabilities"], {"waveform": clip[None]})
        np.testing.assert_allclose(alone[0], expected, atol=1e-5)
        (both,) = session.run(None, {"waveform": np.stack([clip, clip[::-1]])})
        np.testing.assert_allclose(both[0], expected, atol=1e-5)
    with pytest.raises(DataError, match="together with its backbone, onnx:.*, as ONNX, and only"):
        export_model.main([f"--experiment={experiment}", f"--output={output}", "--format=torch_export"])


def test_a_run_killed_while_it_embeds_or_trains_ends_like_one_never_killed(zygote, head_flags, tmp_path):
    assert zygote.run(head_flags("reference"), script="train_embedding_head") == 0, zygote.output()
    reference = outcome(tmp_path / "reference")
    for write in (5, 75):  # of an embedding, of a checkpoint
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        status = zygote.run(head_flags("run"), script="train_embedding_head", kill_at_write=write)
        assert status == -9, zygote.output()
        resume = ["--resume"] if (tmp_path / "run").exists() else []
        assert zygote.run(head_flags("run", *resume), script="train_embedding_head") == 0, zygote.output()
        assert outcome(tmp_path / "run") == reference, write


def test_two_processes_train_as_one_does(zygote, head_flags, tmp_path):
    """Batches of 11 of 12 clips: the last one leaves a process without a clip."""
    for name, run in (("one", zygote.run), ("two", zygote.run_ranks)):
        flags = head_flags(name, cache=tmp_path / f"cache_{name}", batch_size=11)
        code = run(flags, script="train_embedding_head")
        assert code in (0, [0, 0]), zygote.output()
    one, two = (
        pd.read_csv(next((tmp_path / name).glob("*/predictions/submission.csv"))) for name in ("one", "two")
    )
    pd.testing.assert_frame_equal(two, one, atol=1e-5, rtol=0)


def test_embeddings_of_another_backbone_are_refused_on_resume(head_flags, tmp_path):
    train_embedding_head.main(head_flags())
    onnx_backbone(tmp_path / "backbone", hop_samples=500)
    with pytest.raises(DataError, match="trained on embeddings of another backbone .* start anew without"):
        train_embedding_head.main(head_flags("experiments", "--resume"))
    train_embedding_head.main(head_flags())
    assert len(list((tmp_path / "experiments").iterdir())) == 2


def test_rounds_of_relabeling_with_a_head(toy, head_flags, tmp_path):
    noisy = [f"--noisy_train_df={toy.folder / 'train_noisy.csv'}"]
    noisy += [f"--noisy_train_data_dir={toy.folder / 'train_noisy'}"]
    flags = [
        flag for flag in head_flags("x", *noisy, experiments_dir=None) if "fold" not in flag or "=" in flag
    ]
    flags = [flag for flag in flags if flag not in ("0", "1")]
    rounds = [*flags, "--network=embedding", "--rounds", "scoring_8", f"--rounds_dir={tmp_path / 'rounds'}"]
    run_noisy_rounds.main(rounds)
    table = pd.read_csv(tmp_path / "rounds" / "rounds.csv")
    assert table["noisy_clips"].tolist() == [0, 8]
    assert len(pd.read_csv(tmp_path / "rounds" / "submission.csv")) == 8


@pytest.mark.parametrize(
    "extra, told",
    [
        (["--features=mel_512_512_16"], "unknown flag --features"),
        (["--p_aug=0.5"], "unknown flag --p_aug"),
        (["--backbone=yamnet"], "argument --backbone: expected onnx:FILE"),
        (["--hidden=-1"], "argument --hidden: expected a whole number of at least 0"),
    ],
)
def test_wrong_usage(head_flags, extra, told, capsys):
    assert told in usage_error(capsys, train_embedding_head.parse_args, head_flags("x", *extra))


def test_rounds_say_which_flags_a_head_lacks(head_flags, tmp_path, capsys):
    flags = [*head_flags("x", experiments_dir=None), "--rounds", "scoring_8", f"--rounds_dir={tmp_path}"]
    for network in (["--network=embedding"], ["--network", "embedding"]):
        error = usage_error(capsys, run_noisy_rounds.parse_args, [*flags, *network, "--graphs"])
        assert "unknown flag --graphs" in error
    assert "--features" in usage_error(capsys, run_noisy_rounds.parse_args, [*flags, "--network=2d"])
