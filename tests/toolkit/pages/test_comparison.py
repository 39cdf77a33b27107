"""Experiments and rounds side by side: what the page holds, and in headless Chromium."""

import json
import shutil

import pytest

import report_experiment
from ops.errors import DataError
from page_data import CLASSES, data_of, make_experiment


def two_experiments(folder):
    """The second has another label, half of the first's folds, and no record of its epochs."""
    first = make_experiment(folder).directory
    second = first.with_name("second-1b2c3d4e")
    shutil.copytree(first, second)
    config = json.loads((second / "config.json").read_text())
    config["train"] |= {"epochs": 7}
    (second / "config.json").write_text(json.dumps(config))
    shutil.rmtree(second / "history")
    return first, second


def compare(folder, *flags) -> dict:
    page = folder / "page.html"
    report_experiment.main([*map(str, flags), f"--output={page}"])
    return data_of(page)


def test_experiments_are_compared(tmp_path, capsys):
    first, second = two_experiments(tmp_path)
    data = compare(tmp_path, "--experiment", first, second)
    assert "2 experiments compared" in capsys.readouterr().out
    one, other = data["experiments"]
    assert [one["name"], other["name"]] == [first.name, second.name]
    assert one["figures"] == other["figures"] and one["figures"]["clips"] == 6 and data["same_clips"]
    assert one["curve"] == [[0, 0.25], [1, 0.375], [2, 0.5]] and other["curve"] == []
    assert data["rounds"] == [] and [row[0] for row in data["classes"]] == sorted(CLASSES)
    bark = next(row for row in data["classes"] if row[0] == "Bark")
    assert bark[1] == bark[2] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert [row for row in data["settings"] if row[0] == "epochs"][0][2] == "7"

    (second / "results.json").write_text('{"fold1": {"metric": null, "best_epoch": 2}}')
    data = compare(tmp_path, "--experiment", first, second)
    assert not data["same_clips"] and data["experiments"][1]["figures"]["clips"] == 3
    (second / "results.json").unlink()
    data = compare(tmp_path, "--experiment", first, second)
    assert data["experiments"][1]["figures"] is None and data["classes"][0][2] is None


def test_an_experiment_twice_is_no_comparison(tmp_path):
    first, _ = two_experiments(tmp_path)
    with pytest.raises(DataError, match="expected different experiments"):
        compare(tmp_path, "--experiment", first, first)


def make_rounds(folder):
    first, second = two_experiments(folder)
    (folder / "rounds" / "experiments").mkdir(parents=True)
    for path in (first, second):
        shutil.move(path, folder / "rounds" / "experiments")
    rows = [
        "round,mode,experiment,noisy_clips,holdout_lwlrap",
        f"0,,{first.name},0,",
        f"1,trust_0.9,{second.name},4,",
    ]
    (folder / "rounds" / "rounds.csv").write_text("\n".join(rows) + "\n")
    return folder / "rounds"


def test_rounds_are_compared_with_what_they_kept(tmp_path):
    rounds = make_rounds(tmp_path)
    data = compare(tmp_path, "--rounds_dir", rounds)
    assert data["name"] == "rounds" and len(data["experiments"]) == 2
    assert data["rounds"][0] == ["round", "experiment", "mode", "noisy_clips"]  # no empty column
    assert data["rounds"][2][2:] == ["trust_0.9", "4"]
    (rounds / "rounds.csv").unlink()
    with pytest.raises(DataError, match=r"rounds.csv: expected the record of finished rounds, found none"):
        compare(tmp_path, "--rounds_dir", rounds)


def test_experiments_and_rounds_are_not_mixed(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        compare(tmp_path, "--rounds_dir", tmp_path, "--experiment", tmp_path)
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.needs_chromium
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_of_rounds(tmp_path, browser, width):
    compare(tmp_path, "--rounds_dir", make_rounds(tmp_path))
    browser.open(tmp_path / "page.html")
    browser.resize(width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.find("h1").text == "rounds" and browser.find("#rounds").is_displayed()
    assert browser.texts("#rounds tbody tr:last-child td")[2:] == ["trust_0.9", "4"]
    assert len(browser.find_all("#figures-table tbody tr")) == 2
    assert len(browser.find_all(".chart path.curve")) == 1
    assert not browser.find("#other-clips").is_displayed()
