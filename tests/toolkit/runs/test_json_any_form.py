"""JSON of any form in an experiment's files: read as what it is, or told in a line."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import list_experiments
from ops.errors import DataError
from run_configs import run_config
from toolkit.pages.report import fold_curves
from toolkit.rounds.plan import RoundsDirectory
from toolkit.runs.comparison import printed, table_of
from toolkit.runs.experiment import Experiment
from toolkit.system.files import write_json

CONFIG = run_config()
ATOMS = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1e300, 10**400, "", "a"])
VALUES = st.recursive(
    ATOMS, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.text("ab"), v, max_size=2)
)
FOLD = st.dictionaries(st.sampled_from(["metric", "best_epoch", "holdout_metric", "other"]), VALUES)
RESULTS = VALUES | st.dictionaries(st.sampled_from(["fold0", "fold1", "metric", "other"]), VALUES | FOLD)
FUZZ = settings(max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments") / "try-00000000"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG.to_json())
    return Experiment.load(folder)


def in_a_line(error: DataError, path) -> bool:
    return str(path) in str(error) and "\n" not in str(error)


@FUZZ
@given(content=RESULTS)
def test_results(experiment, content):
    path = experiment.path("results.json")
    path.write_text(json.dumps(content))
    table, errors = table_of([experiment.directory])
    assert len(table) + len(errors) == 1 and all(in_a_line(error, path) for error in errors)
    if not errors:
        assert len(printed(table)) == 2
        fold_curves(experiment)
        experiment.is_finished(0, ("val",))
    path.unlink()


@FUZZ
@given(data=st.data())
def test_configuration(experiment, data):
    path, content = experiment.path("config.json"), copy.deepcopy(CONFIG.to_json())
    section = data.draw(st.sampled_from([*content, None]))
    if section is None:
        content = data.draw(VALUES)
    elif isinstance(content[section], dict) and data.draw(st.booleans()):
        content[section][data.draw(st.sampled_from([*content[section], "other"]))] = data.draw(VALUES)
    else:
        content[section] = data.draw(VALUES)
    path.write_text(json.dumps(content))
    table, errors = table_of([experiment.directory])
    assert len(table) + len(errors) == 1 and all(in_a_line(error, path) for error in errors)
    if not errors:
        printed(table)
        Experiment.load(experiment.directory).config.digest()
    write_json(path, CONFIG.to_json())


PLAN = st.fixed_dictionaries({"modes": VALUES, "config": VALUES}, optional={"rounds_dir": VALUES})


@FUZZ
@given(content=VALUES | PLAN)
def test_plan_of_rounds(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "rounds"
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(content))
    try:
        assert RoundsDirectory(folder).as_begun.path
    except DataError as error:
        assert in_a_line(error, folder / "plan.json")
    else:
        assert all(isinstance(mode, str) for mode in content["modes"])


@pytest.mark.parametrize("text", ["NaN", '{"metric": Infinity}', '{"fold0": {"metric": NaN}}'])
def test_numbers_that_json_has_not(experiment, text):
    experiment.path("results.json").write_text(text)
    with pytest.raises(DataError, match="found no valid JSON .*which JSON has not"):
        experiment.results()
    experiment.path("results.json").unlink()


def test_a_broken_experiment_leaves_the_others_listed(experiment, tmp_path, capsys):
    for name in ("good", "worse", "zero"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "config.json", CONFIG.to_json())
    (tmp_path / "worse/results.json").write_text("[]")
    (tmp_path / "zero/config.json").write_text("{")
    assert list_experiments.main([f"--experiments_dir={tmp_path}"]) == 3
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["experiment", "good"]
    assert err.count("warning: ") == 2 and "worse/results.json: expected" in err
    assert "zero/config.json: expected" in err and err.count("this experiment is not listed") == 2
    (tmp_path / "good/config.json").write_text("[]")
    assert list_experiments.main([f"--experiments_dir={tmp_path}"]) == 3
