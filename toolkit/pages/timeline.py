"""What is heard when in recordings, as a page: spectrogram, tags as bars below it, a player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.pages.clip_media import ClipMedia
from toolkit.pages.template import build_page
from toolkit.system.console import progress

MAX_PAGE_SECONDS = 600  # of a recording in the page; 10 s take 0.1 MB


def timeline_data(
    name: str, table: pd.DataFrame, recordings: Mapping[str, Path], media: ClipMedia
) -> dict[str, Any]:
    """All that the page shows, as JSON's types.

    Args:
        name: of the experiments that heard.
        table: file, start, end, class, probability: a row for each stretch.
        recordings: file -> where it is, in the order of the page.
    """
    shown = [
        {"fname": fname, "lanes": _lanes(table[table["file"] == fname]), **media.of(path)}
        for fname, path in progress(list(recordings.items()), desc="recordings", unit="file", delay=2)
    ]
    return {"name": name, "recordings": shown}


def _lanes(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The classes of a recording in the order in which they begin, each with its stretches."""
    return [
        {"name": label, "stretches": rows[["start", "end", "probability"]].to_numpy().tolist()}
        for label, rows in table.groupby("class", sort=False)
    ]


def timeline_page(data: dict[str, Any]) -> str:
    """The HTML that shows timeline_data's."""
    scripts: Sequence[str] = ["dom", "player", "cards", "timeline"]
    return build_page(f"{data['name']}: timeline", "timeline", ["base", "timeline"], scripts, data)
