"""The page of a timeline: what it shows, in headless Chromium."""

import pandas as pd
import pytest

from page_data import FNAMES, write_clips
from toolkit.pages.clip_media import ClipMedia
from toolkit.pages.timeline import timeline_data, timeline_page

COLUMNS = ["file", "start", "end", "class", "probability"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder)
    return {fname: folder / fname for fname in FNAMES[:2]}


def data_of_two(clips: dict) -> dict:
    first = next(iter(clips))
    rows = [
        (first, 0.1, 0.2, "<b>Bark", 0.9),
        (first, 0.15, 0.3, "Run", 0.5),
        (first, 0.3, 0.4, "<b>Bark", 0.7),
    ]
    return timeline_data("try", pd.DataFrame(rows, columns=COLUMNS), clips, ClipMedia("mel_512_512_16", 10))


def test_lanes_are_classes_in_the_order_in_which_they_begin(clips):
    first, second = data_of_two(clips)["recordings"]
    assert first["lanes"] == [
        {"name": "<b>Bark", "stretches": [[0.1, 0.2, 0.9], [0.3, 0.4, 0.7]]},
        {"name": "Run", "stretches": [[0.15, 0.3, 0.5]]},
    ]
    assert second["lanes"] == [] and second["fname"] == FNAMES[1]
    assert first["sound"].startswith("data:audio/mpeg") and first["picture"].startswith("data:image/png")


@pytest.mark.needs_chromium
def test_bars_stand_at_their_times_and_play(clips, browser, tmp_path):
    page, data = tmp_path / "page.html", data_of_two(clips)
    page.write_text(timeline_page(data))
    browser.open(page)
    assert browser.texts("#summary") == ["try: 1 of 2 recordings have tags."]
    assert browser.texts(".lane .label") == ["<b>Bark 0.90", "Run 0.50"]
    share = 0.3 / data["recordings"][0]["seconds"]
    lefts = browser.run(
        "return [...document.querySelectorAll('.stretch')].map((one) => parseFloat(one.style.left))"
    )
    assert lefts[1] == pytest.approx(100 * share)
    browser.find_all(".stretch")[1].click()
    browser.wait(lambda: browser.run("return document.querySelector('audio').currentTime > 0.29"))
    browser.choose("#show", "none")
    assert browser.texts(".fname") == [FNAMES[1]]
    browser.resize(390)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
