"""The experiment's directory."""

import json
import multiprocessing

import pytest

from ops.errors import DataError
from real_processes import environments
from toolkit.runs.experiment import Experiment, config_digest

CONFIG = {"network": {"kind": "2d"}, "data": {"n_folds": 2}, "train": {"lr": 0.1}, "label": "try"}


def start(folder, resume=False, config=CONFIG):
    return Experiment.start(config, folder, ["train.py", "--label", "a b"], resume)


def test_directory_is_named_by_label_and_digest(tmp_path):
    experiment = start(tmp_path)
    assert experiment.directory.name == f"try-{config_digest(CONFIG)}"
    assert len(config_digest(CONFIG)) == 8 and int(config_digest(CONFIG), 16) >= 0
    assert json.loads(experiment.path("config.json").read_text()) == CONFIG
    assert experiment.path("command").read_text() == "train.py --label 'a b'\n"
    assert len(experiment.path("commit_hash").read_text().strip()) in (7, 40)  # a hash or "unknown"


def test_digest_depends_on_values_not_on_their_order():
    reordered = dict(reversed(CONFIG.items()))
    assert config_digest(reordered) == config_digest(CONFIG)
    assert config_digest({**CONFIG, "train": {"lr": 0.2}}) != config_digest(CONFIG)


def test_same_config_again_names_both_ways_out(tmp_path):
    start(tmp_path)
    with pytest.raises(DataError, match="--resume.*--label"):
        start(tmp_path)
    start(tmp_path, resume=True)


def test_resuming_under_a_changed_config_is_refused(tmp_path):
    experiment = start(tmp_path)
    experiment.path("config.json").write_text('{"label": "other"}')
    with pytest.raises(DataError, match="differs"):
        start(tmp_path, resume=True)


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
    config = {"network": {}, "data": {}, "train": {}, "label": "x"}

    def start(run_id: str, restarts: int) -> None:
        for name, value in environments()[0].items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run_id)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        Experiment.check_startable(config, tmp_path, resume=False)
        Experiment.start(config, tmp_path, ["x"], resume=False)

    start("a", 0)
    start("a", 1)
    for run_id, restarts in (("a", 0), ("b", 1)):
        with pytest.raises(DataError, match="--resume"):
            start(run_id, restarts)
