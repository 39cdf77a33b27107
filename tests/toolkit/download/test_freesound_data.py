"""FSDnoisy18k, ARCA23K and FSD50K from a local server of small releases of their forms."""

import os

import pandas as pd
import pytest

import releases
from ops.errors import DataError
from releases import content, one_line, wav, zipped

FSDNOISY18K, ARCA23K, FSD50K = (f"/api/records/{record}" for record in (2529934, 5117901, 4060432))


@pytest.fixture
def records(server):
    server.serve_record(releases.fsdnoisy18k(), FSDNOISY18K)
    server.serve_record(releases.arca23k(), ARCA23K)
    server.serve_record(releases.fsd50k(), FSD50K)
    return server


def rows(folder, name: str) -> dict[str, str]:
    frame = pd.read_csv(folder / f"{name}.csv", dtype=str)
    return dict(zip(frame["fname"], frame["labels"], strict=True))


def sounds(folder, part: str) -> dict[str, bytes]:
    clips = content(folder / part)
    clips.pop(".release.json")
    return clips


def test_fsdnoisy18k_is_parted_by_who_verified_it(get, records, tmp_path, capsys):
    assert get("fsdnoisy18k") == 0
    folder = tmp_path / "data"
    assert rows(folder, "train_curated") == {"1.wav": "Rain", "2.wav": "Wind"}
    assert rows(folder, "train_noisy") == {"4.wav": "Wind", "5.wav": "Walk_or_footsteps"}
    assert rows(folder, "test_truth") == {"3.wav": "Rain", "9.wav": "Wind"}
    assert "1 clips of train_noisy are test clips, too (first '3.wav')" in capsys.readouterr().out
    assert sounds(folder, "train_curated") == {"1.wav": wav(1), "2.wav": wav(2)}
    assert sounds(folder, "train_noisy") == {"4.wav": wav(4), "5.wav": wav(5)}
    assert sounds(folder, "test") == {"3.wav": wav(3), "9.wav": wav(4)}
    header = (folder / "train_noisy.csv").read_text().splitlines()[0]
    assert header == "fname,labels,manually_verified,aso_id,noisy_small"
    assert (folder / "sample_submission.csv").read_text() == "fname,Rain,Wind\n3.wav,0,0\n9.wav,0,0\n"
    assert (folder / "fsdnoisy18k/FSDnoisy18k.doc/LICENSE-DATASET").read_bytes() == b"CC-BY"
    assert "archives" not in os.listdir(folder)


def test_fsd50k_knows_who_uploaded_what(get, records, tmp_path):
    assert get("fsd50k") == 0
    folder = tmp_path / "data"
    curated = pd.read_csv(folder / "train_curated.csv", dtype=str, keep_default_na=False)
    assert list(curated.columns) == ["fname", "labels", "mids", "split", "group"]
    assert rows(folder, "train_curated")["10.wav"] == "Bark,Dog,Animal"
    assert list(curated["group"]) == ["ann", "bob", "ann", ""]
    assert list(pd.read_csv(folder / "test_truth.csv")["group"]) == ["eve", "eve"]
    assert sounds(folder, "train_curated") == {f"{n}.wav": wav(n) for n in range(10, 14)}
    assert sounds(folder, "test") == {"20.wav": wav(20), "21.wav": wav(21)}
    assert not (folder / "train_noisy").exists()
    header = (folder / "sample_submission.csv").read_text().splitlines()[0]
    assert header == "fname,Animal,Bark,Dog,Rain"
    assert (folder / "fsd50k/FSD50K.metadata/collection/collection_dev.csv").exists()


def test_arca23k_is_tested_on_clips_of_fsd50k(get, records, tmp_path):
    assert get("arca23k") == 0
    folder = tmp_path / "data"
    assert rows(folder, "train_curated") == {"11.wav": "Rain", "12.wav": "Bark"}
    assert rows(folder, "train_verified") == {"10.wav": "Bark", "13.wav": "Rain"}
    assert rows(folder, "train_noisy") == {"30.wav": "Bark", "31.wav": "Rain"}
    assert rows(folder, "test_truth") == {"20.wav": "Rain", "21.wav": "Bark"}
    assert list(pd.read_csv(folder / "train_curated.csv")["group"]) == ["bob", "ann"]
    assert "group" not in pd.read_csv(folder / "train_noisy.csv").columns
    for part, numbers in {
        "train_curated": (11, 12),
        "train_verified": (10, 13),
        "train_noisy": (30, 31),
        "test": (20, 21),
    }.items():
        assert sounds(folder, part) == {f"{n}.wav": wav(n) for n in numbers}
    assert (folder / "arca23k/LICENSE").read_bytes() == b"CC-BY"
    assert (folder / "arca23k/ATTRIBUTION").read_bytes() == b"by whom"


def test_parts_now_others_later_and_then_nothing(get, records, tmp_path):
    get("arca23k", "--parts", "train_noisy")
    assert not any("audio" in path and FSD50K in path for path, _ in records.requests)
    assert not (tmp_path / "data/train_curated").exists()
    assert get("arca23k") == 0
    before, n_requests = content(tmp_path / "data"), len(records.requests)
    assert sum("FSD50K.dev_audio.z01" in path for path, _ in records.requests) == 1
    assert get("arca23k") == 0
    assert content(tmp_path / "data") == before and len(records.requests) == n_requests


@pytest.mark.parametrize("lacking", ["FSD50K.dev_audio.zip", "FSD50K.metadata.zip"])
def test_a_record_without_one_of_its_files(lacking, get, records, tmp_path):
    files = {name: content for name, content in releases.fsd50k().items() if name != lacking}
    records.serve_record(files, FSD50K)
    with pytest.raises(DataError, match=r"expected one file \*\.FSD50K\.") as raised:
        get("fsd50k")
    assert FSD50K in one_line(raised) and not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    "archive, name, text, words",
    [
        ("fsdnoisy18k", "FSDnoisy18k.meta/train.csv", "fname,label\na,b\n", "manually_verified"),
        (
            "fsdnoisy18k",
            "FSDnoisy18k.meta/train.csv",
            "fname,label,manually_verified\na,b,maybe\n",
            "to be 0 or 1, found 'maybe'",
        ),
        ("fsdnoisy18k", "FSDnoisy18k.meta/test.csv", None, "test.csv: expected a CSV table"),
        ("fsd50k", "FSD50K.metadata/dev_clips_info_FSD50K.json", "[3]", "an object of clips by number"),
    ],
)
def test_documents_of_another_form(archive, name, text, words, get, records):
    files = getattr(releases, archive)()
    record = {"fsdnoisy18k": FSDNOISY18K, "fsd50k": FSD50K}[archive]
    whole = {
        "FSDnoisy18k.meta/train.csv": "fname,label,manually_verified\n1.wav,Rain,1\n",
        "FSDnoisy18k.meta/test.csv": "fname,label\n9.wav,Rain\n",
        "FSD50K.metadata/dev_clips_info_FSD50K.json": "{}",
        "FSD50K.metadata/eval_clips_info_FSD50K.json": "{}",
    }
    folder = name.split("/")[0]
    changed = {key: value for key, value in {**whole, name: text}.items() if value and key.startswith(folder)}
    files[f"{folder}.zip"] = zipped({key: value.encode() for key, value in changed.items()})
    records.serve_record(files, record)
    with pytest.raises(DataError, match=words) as raised:
        get(archive)
    one_line(raised)
