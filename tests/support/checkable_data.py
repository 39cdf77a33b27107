"""Tables and folders of clean data, to which tests add problems."""

import json

import numpy as np
import pandas as pd
import soundfile

import check_data

RATE = 44100
COLUMNS = ["kind", "table", "fname", "detail"]


def clip(path, seed: int | None = None, samples: int = 3000, rate: int = RATE, channels: int = 1) -> None:
    """A clip of noise of its own, or silence without a seed."""
    path.parent.mkdir(exist_ok=True)
    shape = samples if channels == 1 else (samples, channels)
    noise = np.zeros(shape) if seed is None else np.random.default_rng(seed).uniform(-0.5, 0.5, shape)
    soundfile.write(path, noise, rate)


class Data:
    """Tables and folders of clean data, and the flags that check them."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = {"curated": [], "noisy": [], "test": []}
        for seed in range(8):
            self.add("curated", f"c{seed}.wav", "Bark" if seed % 2 else "Meow,Run", seed)
        for seed in range(3):
            self.add("noisy", f"n{seed}.wav", "Bark,Run", 100 + seed)
            self.add("test", f"t{seed}.wav", "", 200 + seed)
        (folder / "classmap.json").write_text(json.dumps({"Bark": 0, "Meow": 1, "Run": 2}))

    def add(self, role: str, fname: str, labels: str, seed: int | None = None, **options) -> None:
        """A row, and with a seed its clip."""
        self.rows[role].append((fname, labels))
        if seed is not None:
            clip(self.folder / role / fname, seed, **options)

    def table(self, role: str) -> str:
        return str(self.folder / f"{role}.csv")

    def flags(self, *extra: str) -> list[str]:
        for role, rows in self.rows.items():
            columns = ["fname", "Bark" if role == "test" else "labels"]
            pd.DataFrame(rows, columns=columns).to_csv(self.table(role), index=False)
        return [
            f"--train_df={self.table('curated')}",
            f"--train_data_dir={self.folder / 'curated'}",
            f"--noisy_train_df={self.table('noisy')}",
            f"--noisy_train_data_dir={self.folder / 'noisy'}",
            f"--test_df={self.table('test')}",
            f"--test_data_dir={self.folder / 'test'}",
            f"--classmap={self.folder / 'classmap.json'}",
            "--num_workers=2",
            *extra,
        ]

    def check(self, *extra: str) -> tuple[int, list[tuple[str, str, str]]]:
        """The exit code, and (kind, table's role, fname) of all problems."""
        path = self.folder / "problems.csv"
        code = check_data.main(self.flags(f"--output_csv={path}", *extra))
        frame = pd.read_csv(path, dtype=str, na_filter=False)
        assert list(frame.columns) == COLUMNS and (frame["detail"] != "").all()
        self.detail = dict(zip(frame["fname"], frame["detail"], strict=True))
        roles = frame["table"].str.removeprefix(f"{self.folder}/").str.removesuffix(".csv")
        return code, list(zip(frame["kind"], roles, frame["fname"], strict=True))
