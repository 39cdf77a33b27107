"""The report in headless Chromium: read, played, filtered, by pointer and by keyboard."""

import pytest

from page_data import CLASSES, FNAMES, IMAGE, make_experiment, make_report

pytestmark = pytest.mark.needs_chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return make_report(make_experiment(tmp_path_factory.mktemp("report")))


def test_names_are_shown_as_they_are_and_never_run(report, browser):
    browser.open(report)
    assert browser.driver.title == "try <i>-0a1b2c3d: report"
    assert browser.texts("h1") == ["try <i>-0a1b2c3d"]
    assert browser.texts(".fname")[0] == IMAGE
    assert set(browser.texts(".class-name")) == set(CLASSES)
    assert len(browser.find_all("img")) == len(browser.find_all(".card")) == 6
    assert len(browser.find_all("script")) == 2 and not browser.find_all("main b, main i")


def test_curves_are_read_with_the_arrow_keys(report, browser):
    browser.open(report)
    lwlrap, loss, rate = browser.find_all(".chart svg")
    assert len(browser.find_all(".chart path.curve")) == 4 + 4 + 2
    assert len(browser.find_all(".chart circle.best")) == 2 + 2  # the best epoch of each validation curve
    browser.run("arguments[0].focus()", loss)
    browser.press("\ue014", "\ue014")  # right, right: epoch 1
    assert browser.texts(".readout")[1] == (
        "epoch 1: fold 0 train 2.000, fold 0 valid 2.000, fold 1 train 2.000, fold 1 valid 2.000"
    )
    browser.find("#legend input[value='fold 0']").click()
    browser.find("#legend input[value='train']").click()
    assert browser.texts(".readout")[1] == "epoch 1: fold 1 valid 2.000"
    assert len(browser.find_all(".chart path.curve")) == 1 + 1 + 1


def test_every_epoch_stands_in_the_table(report, browser):
    browser.open(report)
    rows = browser.texts("#epochs tbody tr")
    assert len(rows) == 6 and rows[5] == "121.0000.70001.5000.50000.0010001.500"


def test_bars_of_the_classes_are_as_long_as_their_lwlrap(report, browser):
    browser.open(report)
    names, widths = browser.texts(".class-name"), []
    for bar in browser.find_all("#classes .bar"):
        widths.append(
            browser.run("return arguments[0].firstChild.offsetWidth / arguments[0].offsetWidth", bar)
        )
    bark = names.index("Bark")
    assert widths == sorted(widths)
    assert widths[bark] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3, abs=0.01)
    browser.choose("#class-order", "clips")
    assert browser.texts(".class-name")[:2] == ["Bark", "Übung"]
    assert "3 clips" in browser.texts("#classes .faint")


def test_a_confusion_leads_to_the_clips_of_its_class(report, browser):
    browser.open(report)
    browser.find("#confusions button").click()
    name = browser.texts("#confusions button")[0]
    assert browser.find("#clip-class").get_attribute("value") == name
    labels = browser.texts("#clips .card p:not(.problem)")
    assert labels and all(name in text for text in labels)
    assert f"{len(labels)} of the 6 clips" in browser.texts("#clip-count")[0]


def test_a_clip_plays_by_keyboard_and_by_pointer(report, browser):
    browser.open(report)
    browser.press("down", " ")  # outside the list they scroll
    assert not browser.find_all("audio") and not browser.find_all(".card[aria-current=true]")
    browser.press("n", "down", "up", " ")
    card = browser.find(".card[aria-current=true]")
    assert card.find_element("css selector", ".fname").text == IMAGE
    time = "return document.querySelector('audio').currentTime"
    browser.wait(lambda: browser.run(time) > 0.1)
    assert browser.run("return document.querySelector('audio').duration") == pytest.approx(2, abs=0.01)
    assert card.find_element("css selector", ".play").text == "❚❚ Pause"
    browser.press(" ")
    browser.wait(lambda: card.find_element("css selector", ".play").text == "▶ Play")
    browser.find_all("img")[1].click()  # its middle
    browser.wait(lambda: browser.run(time) >= 1.0)
    browser.press("up")
    assert browser.find_all(".card")[0].get_attribute("aria-current") == "true"


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_stands_out_of_the_screen(report, browser, width):
    browser.open(report)
    browser.resize(width)
    browser.find(".play").click()
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_an_experiment_without_a_record_or_a_finished_fold(tmp_path, browser):
    experiment = make_experiment(tmp_path)
    for path in (experiment.directory / "history").iterdir():
        path.unlink()
    browser.open(make_report(experiment))
    assert "no record of its epochs" in browser.find("#curves-note").text
    assert not browser.find_all(".chart") and len(browser.find_all(".card")) == 6
    (experiment.directory / "results.json").unlink()
    browser.open(make_report(experiment))
    assert "none of 2 folds is finished" in browser.find("#summary").text
    assert not browser.find("#classes").is_displayed() and not browser.find_all(".card")


def test_a_clip_that_cannot_be_read_says_so(tmp_path, browser):
    experiment = make_experiment(tmp_path)
    (experiment.clips / IMAGE).write_bytes(b"no audio")
    browser.open(make_report(experiment))
    assert "cannot be read as audio" in browser.find(".card .problem").text
    browser.press("n", " ")
    assert browser.run("return document.querySelector('audio')") is None
    assert FNAMES[3] in browser.texts(".fname")


def test_the_confusion_matrix_is_read_by_pointing_and_by_tapping(report, browser):
    browser.open(report)
    assert browser.texts("#figures dd")[1:] == ["0.6667", "0.7917", "6", "4", "0"]
    assert len(browser.find_all("#matrix .cell")) == 6
    assert browser.texts(".chart text").count("epoch") == 3
    cell = browser.find("#matrix .cell:not(.right)")
    browser.run("arguments[0].dispatchEvent(new PointerEvent('pointerdown'))", cell)
    assert browser.texts("#matrix-readout") == [f"Bark: 1 of 3 clips score {CLASSES[2]} highest"]


def test_on_a_phone_the_text_says_tap(report, browser):
    emulate = browser.driver.execute_cdp_cmd
    emulate("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        browser.open(report)
        browser.resize(390, 844)
        assert browser.texts(".readout")[0] == "Tap the chart to read values."
        assert browser.find("#matrix-readout").text == "Tap a cell to read it."
        assert not browser.find("kbd").is_displayed() and browser.find(".for-touch").is_displayed()
    finally:
        emulate("Emulation.setTouchEmulationEnabled", {"enabled": False})
