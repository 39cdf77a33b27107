"""Label cells in the page's language: read and written as the scripts do, commas of names included."""

import random

import pytest

from page_data import make_review
from repository import ROOT
from toolkit.clips.labels import join_labels, split_labels
from toolkit.clips.tables import read_table

pytestmark = pytest.mark.needs_chromium

KID = "Child speech, kid speaking"
CLASSES = ["Bark", KID, "Speech", ",odd,"]
BEFORE = join_labels(["Bark", KID])


@pytest.fixture
def page(tmp_path):
    cells = [BEFORE, join_labels(["Speech"])] * 3
    return make_review(tmp_path, before=cells, after=[*cells[:5], None], classes=CLASSES).page


def saved(browser) -> list[str]:
    path = browser.downloaded("relabeled_reviewed.csv", lambda: browser.press("s"))
    return read_table(path, ["fname", "labels"])["labels"].tolist()


def test_cells_are_split_and_joined_as_the_scripts_do(page, browser):
    draw = random.Random(0)
    cells = [
        "".join(draw.choices(",,,, ab\t\n\xa0\x85\x1c\u200b\ufeffü", k=draw.randrange(9)))
        for _ in range(2000)
    ]
    browser.open(page)
    source = (ROOT / "toolkit/pages/assets/decisions.js").read_text()  # the page's own is out of reach
    names = browser.run(f"{source}; return arguments[0].map(splitLabels)", cells)
    assert names == [split_labels(cell) for cell in cells]
    joined = browser.run(f"{source}; return arguments[0].map(joinLabels)", names)
    assert joined == [join_labels(one) for one in names]


def test_names_with_commas_are_shown_whole_chosen_and_saved_doubled(page, browser):
    browser.open(page)
    assert f"Bark | {KID}" in browser.texts(".labels dd")
    options = browser.run("return [...document.querySelector('#class').options].map((one) => one.value)")
    assert options[1:] == sorted(CLASSES)
    before = saved(browser)
    assert split_labels(before[0]) == ["Bark", KID]
    browser.press("down", "f", "kid", "enter", ",odd", "enter", "enter")
    assert not browser.find_all(".editor")
    after = saved(browser)
    changed = [cell for cell in after if cell not in before]
    assert changed and {KID, ",odd,"} <= set(split_labels(changed[0]))
