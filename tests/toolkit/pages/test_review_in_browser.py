"""The review in headless Chromium: playing, filtering, deciding by keyboard, saving, loading."""

import shutil

import pandas as pd
import pytest

from page_data import (
    AFTER,
    BEFORE,
    CLASSES,
    FNAMES,
    IMAGE,
    SCRIPT,
    make_curated_review,
    make_experiment,
    make_review,
)
from run_configs import run_config
from toolkit.clips.tables import read_table, write_table
from toolkit.runs.clips import load_splits
from toolkit.runs.config import SubmissionConfig

pytestmark = pytest.mark.needs_chromium

ORDER = [2, 5, 3, 4, 1, 0]  # rows by disagreement: dropped, dropped, changed, changed, kept, kept
UNTOUCHED = {fname: after for fname, after in zip(FNAMES, AFTER, strict=True) if after is not None}


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    return make_review(tmp_path_factory.mktemp("review"))


def shown(browser) -> list[str]:
    return browser.texts("#clips .fname")


def current(browser) -> str:
    return browser.texts(".card[aria-current=true] .fname")[0]


def save(browser, start=None) -> dict[str, str]:
    """The saved table, as the scripts read it."""
    path = browser.downloaded("relabeled_reviewed.csv", start or (lambda: browser.press("s")))
    table = read_table(path, ["fname", "labels"])
    return dict(zip(table["fname"], table["labels"], strict=True))


def test_names_are_shown_as_they_are_and_never_run(review, browser):
    browser.open(review.page)
    assert browser.driver.title == "relabeled: review"
    assert shown(browser) == [FNAMES[row] for row in ORDER]
    assert len(browser.find_all("img")) == 6 and len(browser.find_all("script")) == 2
    assert browser.run("return [...document.querySelector('#class').options].map((o) => o.value)")[
        1:
    ] == sorted(CLASSES)


def test_a_clip_plays(review, browser):
    browser.open(review.page)
    browser.press("down", "down", " ")
    assert current(browser) == FNAMES[5]
    browser.wait(lambda: browser.run("return document.querySelector('audio').currentTime") > 0.1)
    assert browser.run("return document.querySelector('audio').duration") == pytest.approx(2, abs=0.01)
    browser.press(" ")
    browser.wait(lambda: browser.run("return document.querySelector('audio').paused"))
    browser.find("#autoplay").click()
    browser.press("n")
    browser.wait(lambda: not browser.run("return document.querySelector('audio').paused"))
    assert browser.run("return document.querySelector('audio').closest('.card').ariaLabel") == FNAMES[3]


def test_keys_decide_on_the_first_clip_of_a_fresh_page(review, browser):
    browser.open(review.page)
    browser.press("d")
    assert browser.find("#progress").text.startswith("1 of 6 decided")


def test_filters(review, browser):
    browser.open(review.page)
    browser.choose("#status", "dropped")
    assert shown(browser) == [FNAMES[2], FNAMES[5]]
    browser.choose("#status", "")
    browser.choose("#class", SCRIPT)  # an old or new label, or the top prediction
    assert shown(browser) == [FNAMES[5], FNAMES[3]]
    browser.choose("#status", "changed")
    assert shown(browser) == [FNAMES[3]]
    browser.choose("#class", "")
    browser.choose("#status", "")
    browser.choose("#order", "least")
    assert shown(browser) == [FNAMES[row] for row in ORDER[::-1]]
    browser.find("h1").click()  # in a list of choices, letters choose
    browser.press("/", "鳥")
    assert shown(browser) == [FNAMES[4]] and "1 of the 6 clips" in browser.find("#count").text
    browser.press("escape", "k")  # to the list, and keep
    browser.run("document.querySelector('#search').value = ''")
    browser.choose("#decision", "undecided")
    assert len(shown(browser)) == 5
    browser.choose("#decision", "keep")
    assert shown(browser) == [FNAMES[4]]


def test_undecided_the_saved_table_is_the_relabeled_one(review, browser):
    browser.open(review.page)
    assert save(browser) == UNTOUCHED
    assert list(save(browser)) == [fname for fname in FNAMES if fname in UNTOUCHED]  # the noisy table's order


def test_further_columns_stay_as_those_of_clips_that_belong_together(browser, tmp_path):
    further = {"group": [f"u{row // 2}" for row in range(len(FNAMES))], "license": ['"CC, 0"'] * len(FNAMES)}
    weights = ["0.5"] * len(UNTOUCHED)
    browser.open(make_review(tmp_path, weights=weights, further=further).page)
    path = browser.downloaded("relabeled_reviewed.csv", lambda: browser.press("s"))
    table = read_table(path, ["fname", "labels", "weight", "group", "license"])
    groups = dict(zip(FNAMES, further["group"], strict=True))
    assert dict(zip(table["fname"], table["group"], strict=True)) == {
        name: groups[name] for name in UNTOUCHED
    }
    assert set(table["license"]) == {'"CC, 0"'} and set(table["weight"]) == {"0.5"}


def test_weights_stay_and_what_was_listened_to_counts_in_full(browser, tmp_path):
    expected = {fname: f"0.{row + 1}" for row, fname in enumerate(UNTOUCHED)}
    browser.open(make_review(tmp_path, weights=list(expected.values())).page)

    def saved() -> dict[str, str]:
        path = browser.downloaded("relabeled_reviewed.csv", lambda: browser.press("s"))
        table = read_table(path, ["fname", "labels", "weight"])
        return dict(zip(table["fname"], table["weight"], strict=True))

    assert saved() == expected
    browser.press("down", "k", "d", "k")  # dropped before, dropped again, changed
    assert saved() == {**expected, FNAMES[2]: "1", FNAMES[3]: "1"}


def test_decisions_by_keyboard_and_what_training_reads(review, browser):
    browser.open(review.page)
    browser.press("down", "k", "d", "b", "d", "f")
    # Each decision goes on to the next: the fifth clip is being fixed.
    assert current(browser) == FNAMES[1]
    browser.press(*"über", "enter")
    assert "no class is called über" in browser.find(".editor .problem").text
    for _ in range(4):
        browser.press("\ue003")
    browser.press(*"üb", "enter", "enter")
    assert (
        "4 of 6" not in browser.find("#progress").text and "5 of 6 decided" in browser.find("#progress").text
    )
    expected = {
        FNAMES[0]: "Bark",
        FNAMES[1]: f"{CLASSES[1]},Übung",
        IMAGE: "Übung",  # kept with its old labels
        FNAMES[3]: BEFORE[3],
    }
    assert save(browser) == expected
    path, folder = str(browser.downloads / "relabeled_reviewed.csv"), str(review.clips)
    paths = {
        "train_df": path,
        "train_data_dir": folder,
        "noisy_train_df": path,
        "noisy_train_data_dir": folder,
    }
    clips = load_splits(run_config(classes=CLASSES, **paths).data, SubmissionConfig()).noisy
    assert [clip.fname for clip in clips] == list(expected) and clips[1].labels.tolist() == [0, 1, 0, 1]
    browser.press("up", "up", "u")  # the clip that was dropped as the fourth
    assert save(browser)[FNAMES[4]] == AFTER[4]


def test_decisions_by_button(review, browser):
    browser.open(review.page)
    browser.find("#go-on").click()
    cards = browser.find_all(".card")
    cards[0].find_element("css selector", ".keep").click()
    cards[0].find_element("css selector", ".drop").click()
    assert cards[0].get_attribute("data-decision") == "drop"
    assert cards[0].find_element("css selector", ".result").text == "(not in the table)"
    browser.run("arguments[0].scrollIntoView({block: 'center'})", cards[3])
    cards[3].find_element("css selector", ".old-labels").click()
    assert cards[3].find_element("css selector", ".result").text == "Übung"
    assert not cards[0].find_elements("css selector", ".old-labels")  # it has no other labels
    browser.run("scrollTo(0, 0)")
    cards[0].find_element("css selector", ".undo").click()
    assert cards[0].get_attribute("data-decision") is None
    table = save(browser, browser.find("#save-table").click)
    assert table == {**UNTOUCHED, FNAMES[4]: "Übung"}


def test_the_editor(review, browser):
    browser.open(review.page)
    browser.press("down", "f", *"kd", "escape")  # letters in the field decide nothing
    assert not browser.find_all(".editor") and "0 of 6" in browser.find("#progress").text
    browser.press("f")
    browser.find(".editor .chip:not(.offer)").click()
    assert browser.texts(".editor .chip:not(.offer)") == []
    browser.find(".editor .take").click()
    assert "at least one label" in browser.find(".editor .problem").text
    browser.press(*"B", "enter")
    assert browser.find(".editor .problem").text == f"several classes: Bark, {CLASSES[1]}"
    browser.press("\ue003", *"bark", "enter")
    browser.find(".editor .offer").click()
    assert len(browser.texts(".editor .chip:not(.offer)")) == 2
    browser.find(".editor .take").click()
    assert save(browser)[IMAGE] == "Bark,Übung"


def test_progress_is_kept_for_the_same_tables_only(review, browser, tmp_path):
    browser.open(review.page)
    browser.press("down", "k", "d")
    browser.open(review.page, forget=False)
    assert "2 of 6 decided" in browser.find("#progress").text and IMAGE in save(browser)
    browser.open(make_review(tmp_path, before=["Übung", *BEFORE[1:]]).page, forget=False)
    assert "0 of 6 decided" in browser.find("#progress").text
    browser.open(review.page, forget=False)
    browser.find("#clear").click()
    browser.driver.switch_to.alert.accept()
    assert "0 of 6 decided" in browser.find("#progress").text and save(browser) == UNTOUCHED


def test_saved_decisions_are_loaded_again_and_left_out_of_the_next_page(review, browser, tmp_path):
    browser.open(review.page)
    browser.press("down", "k", "d", "f", *"Bark", "enter", "enter")
    table = save(browser)
    saved = browser.downloaded("relabeled_decisions.csv", browser.find("#save-decisions").click)
    decisions = read_table(saved, ["fname", "decision", "labels"])
    # In the noisy table's order.
    assert decisions.to_numpy().tolist() == [
        [IMAGE, "keep", ""], [FNAMES[3], "fix", f"{SCRIPT},Bark"], [FNAMES[5], "drop", ""],
    ]  # fmt: skip
    browser.open(review.page)
    assert save(browser) == UNTOUCHED
    browser.find("#file").send_keys(str(saved))
    browser.wait(lambda: "3 decisions loaded" in browser.find("#message").text)
    assert save(browser) == table and "3 of 6 decided" in browser.find("#progress").text

    browser.open(make_review(tmp_path, f"--reviewed_df={saved}").page)
    assert shown(browser) == [FNAMES[4], FNAMES[1], FNAMES[0]] and save(browser) == table


@pytest.mark.parametrize(
    "content, message",
    [
        ("fname,labels\nplain.wav,Bark\n", "expected the columns fname,decision,labels"),
        ("fname,decision,labels\nother.wav,keep,\n", "row 1 (other.wav): this clip is not in the table"),
        ("fname,decision,labels\nplain.wav,burn,\n", "unknown decision burn"),
        ("fname,decision,labels\nplain.wav,drop,\n space?.wav,fix,Bork\n", "row 2 ( space?.wav): unknown"),
        ("fname,decision,labels\nplain.wav,fix,\n", "a fix without labels"),
        ('fname,decision,labels\n"plain.wav,drop,\n', "quotes are opened and never closed"),
        ("", "expected the columns"),
    ],
)  # fmt: skip
def test_what_is_no_decisions_table(review, browser, tmp_path, content, message):
    path = tmp_path / "wrong.csv"
    path.write_text(content)
    browser.open(review.page)
    browser.find("#file").send_keys(str(path))
    text = browser.wait(lambda: browser.texts("#message")[0])
    assert message in text and "nothing was loaded" in text
    assert "0 of 6 decided" in browser.find("#progress").text


def test_nothing_left_is_said_and_not_saved(review, browser):
    browser.open(review.page)
    browser.press("down", *"dddddd", "s")
    assert "No clip is left" in browser.find("#message").text


NASTY = [",", '"', '""', '",', "\n", "\r", "\r\n", " ", "\ufeff", "'", "鳥", "é", "\u2028", "<!--", "\\", "a"]


def test_every_name_comes_back_from_the_saved_tables(browser, tmp_path):
    fnames = [f"{a}x{b}.wav{a}" for a in NASTY for b in NASTY[:4]]
    before = ["Bark"] * len(fnames)
    after = ["Bark", CLASSES[1], None, f"Bark,{SCRIPT}"] * (len(fnames) // 4)
    scores = [[0.5, 0.1, 0.2, 0.3]] * len(fnames)
    tables = {"fnames": fnames, "before": before, "after": after, "scores": scores}
    browser.open(make_review(tmp_path, "--link_audio", **tables).page)
    expected = {fname: cell for fname, cell in zip(fnames, after, strict=True) if cell is not None}
    assert save(browser) == expected
    browser.press("down", *"kdkdkdkd")
    table = save(browser)
    saved = browser.downloaded("relabeled_decisions.csv", browser.find("#save-decisions").click)
    assert len(read_table(saved, ["fname", "decision", "labels"])) == 8
    browser.open(tmp_path / "review.html")
    browser.find("#file").send_keys(str(saved))
    browser.wait(lambda: "8 decisions loaded" in browser.find("#message").text)
    assert save(browser) == table != expected


def test_long_lists_are_made_as_one_comes_to_them_and_linked_sounds_play(browser, tmp_path):
    fnames = [*FNAMES, *(f"{number:04}.wav" for number in range(2000))]
    scores = [[0.5, 0.1, 0.2, 0.3]] * len(fnames)
    tables = {"before": ["Bark"] * len(fnames), "after": ["Bark"] * len(fnames), "scores": scores}
    make_review(tmp_path)
    browser.open(make_review(tmp_path, "--link_audio", fnames=fnames, **tables).page)
    assert len(browser.find_all(".card")) <= 60
    assert "2006 of the 2006 clips" in browser.find("#count").text
    made = len(browser.find_all(".card"))
    browser.run("window.scrollTo(0, document.documentElement.scrollHeight)")
    browser.wait(lambda: len(browser.find_all(".card")) > made)
    for fname in (FNAMES[4], FNAMES[1]):  # with #, % and quotes
        browser.find("#search").clear()
        browser.find("#search").send_keys(fname[:6])
        browser.press("enter", " ")
        assert current(browser) == fname
        browser.wait(lambda: browser.run("return document.querySelector('audio').currentTime") > 0.1)
        assert browser.run("return document.querySelector('audio').duration") == pytest.approx(2, abs=0.01)


def test_a_linked_sound_that_is_gone_says_so(browser, tmp_path):
    review = make_review(tmp_path, "--link_audio")
    (review.clips / IMAGE).unlink()
    browser.open(review.page)
    browser.press("down", " ")
    browser.wait(lambda: "cannot be played" in browser.find(".card .problem").text)
    assert all("ERR_FILE_NOT_FOUND" in message for message in browser.errors())


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_stands_out_of_the_screen(review, browser, width):
    browser.open(review.page)
    browser.resize(width)
    browser.press("down", "f", "?")
    browser.find("#help").click()
    assert browser.run("return document.documentElement.scrollWidth") <= width
    bar = browser.find("#bar").rect
    assert bar["x"] >= 0 and bar["x"] + bar["width"] <= width


def test_on_a_phone_the_first_clip_stands_on_the_first_screen(review, browser):
    browser.open(review.page)
    assert browser.find("#filters").is_displayed() and browser.find("#clear").is_displayed()
    browser.resize(390, 844)
    browser.wait(lambda: not browser.find("#filters").is_displayed())
    assert not browser.find("#clear").is_displayed()
    card, bar = browser.find(".card").rect, browser.find("#bar").rect
    assert card["y"] + card["height"] < bar["y"]
    browser.find("#choice summary").click()
    assert browser.find("#status").is_displayed()
    browser.find("#bar summary").click()
    assert browser.find("#clear").is_displayed()


def test_old_labels_are_called_so_and_pictures_have_axes(review, browser):
    browser.open(review.page)
    first = browser.find(".card")
    assert browser.texts(".card:first-child dt") == ["old labels", "new labels", "result"]
    assert browser.texts(".card:first-child .own .mark") == ["old label"] and "✓" not in first.text
    assert browser.texts(".card:first-child .time-axis span") == ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]
    assert browser.texts(".card:first-child .frequencies span")[-1] == "10 kHz"


def test_curated_labels_are_reviewed_and_saved_with_all_their_columns(browser, tmp_path):
    experiment = make_experiment(tmp_path)
    rows = zip(FNAMES, BEFORE, strict=True)
    write_table(
        experiment.table, pd.DataFrame([(*row, "g") for row in rows], columns=["fname", "labels", "group"])
    )
    shutil.copy(experiment.clips / FNAMES[0], experiment.clips / FNAMES[5])
    browser.open(make_curated_review(experiment))
    assert browser.find("h1").text == "Review of curated labels"
    assert not browser.find("#status").is_displayed() and not browser.texts(".badge")
    assert shown(browser) == [FNAMES[row] for row in (2, 5, 0, 3, 4, 1)]
    assert browser.texts(".same") == [
        f"The same sound: {FNAMES[0]} (Bark)",
        f"The same sound: {FNAMES[5]} (Bark)",
    ]
    browser.press("down", "d", "f", *"üb", "enter", "enter")
    path = browser.downloaded("train_reviewed.csv", lambda: browser.press("s"))
    table = read_table(path, ["fname", "labels", "group"])
    labels = dict(zip(FNAMES, BEFORE, strict=True)) | {FNAMES[5]: "Bark,Übung"}
    del labels[IMAGE]
    assert dict(zip(table["fname"], table["labels"], strict=True)) == labels and set(table["group"]) == {"g"}
