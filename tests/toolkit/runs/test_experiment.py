"""The experiment's directory."""

import json
import multiprocessing

import pytest

from ops.errors import DataError
from real_processes import environments
from run_configs import run_config, with_train
from toolkit.runs.experiment import Experiment
from toolkit.system.files import write_json

CONFIG = run_config()


def start(folder, resume=False, config=CONFIG):
    experiment = Experiment.start(config, folder, resume)
    if not experiment.path("config.json").exists():
        write_json(experiment.path("config.json"), config.to_json())
    return experiment


def test_directory_is_named_by_label_and_digest(tmp_path):
    assert start(tmp_path).directory.name == f"try-{CONFIG.digest()}"
    assert Experiment.directory_of(CONFIG, tmp_path) == tmp_path / f"try-{CONFIG.digest()}"


def test_same_config_again_names_both_ways_out(tmp_path):
    start(tmp_path)
    with pytest.raises(DataError, match="--resume.*--label"):
        start(tmp_path)
    start(tmp_path, resume=True)


def test_an_experiment_of_an_earlier_version_is_found_by_its_config(tmp_path):
    """Versions before named experiments by another digest, and their configs lack later settings."""
    content = CONFIG.to_json()
    for name in ("cross_fit_noisy", "drop_known_bad"):
        del content["data"][name]
    for name in ("adapt_batch_norm", "init_from"):
        del content["train"][name]
    for name, label in (("try-0a1b2c3d", "try"), ("try-11111111", "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({**content, "label": label}))
    assert Experiment.directory_of(CONFIG, tmp_path) == tmp_path / "try-0a1b2c3d"
    with pytest.raises(DataError, match="try-0a1b2c3d: an experiment of the same configuration exists"):
        Experiment.check_startable(CONFIG, tmp_path, resume=False)
    assert start(tmp_path, resume=True).directory == tmp_path / "try-0a1b2c3d"
    other = with_train(CONFIG, adapt_batch_norm=True)
    assert Experiment.directory_of(other, tmp_path).name == f"try-{other.digest()}"


def test_load_refuses_a_folder_without_config(tmp_path):
    with pytest.raises(DataError, match="config.json"):
        Experiment.load(tmp_path)


def record_metric(directory, fold):
    Experiment(directory, CONFIG).record(**{f"fold{fold}": {"metric": fold / 10}})


def test_results_of_processes_that_write_at_once_are_all_kept(tmp_path):
    directory = start(tmp_path).directory
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=record_metric, args=(directory, fold)) for fold in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Experiment.load(directory).results() == {f"fold{k}": {"metric": k / 10} for k in range(8)}


def test_a_fold_is_claimed_once(tmp_path):
    experiment = start(tmp_path)
    with experiment.fold_claimed(0), experiment.fold_claimed(1):
        with pytest.raises(DataError, match="another process is training fold 0"):
            with Experiment(experiment.directory, CONFIG).fold_claimed(0):
                pass
    with experiment.fold_claimed(0):
        pass


def test_log_has_a_line_an_event(tmp_path, capsys):
    experiment = start(tmp_path)
    experiment.log("first")
    experiment.log("second")
    lines = experiment.path("log").read_text().splitlines()
    assert [line[20:] for line in lines] == ["first", "second"]
    assert capsys.readouterr().out == "first\nsecond\n"


def test_only_a_restart_of_the_launch_that_started_it_resumes_unasked(monkeypatch, tmp_path):

    def start(run_id: str, restarts: int) -> None:
        for name, value in environments()[0].items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        Experiment.check_startable(CONFIG, tmp_path, resume=False)
        Experiment.start(CONFIG, tmp_path, resume=False)

    start("a", 0)
    start("a", 1)
    for run_id, restarts in (("a", 0), ("b", 1)):
        with pytest.raises(DataError, match="--resume"):
            start(run_id, restarts)
