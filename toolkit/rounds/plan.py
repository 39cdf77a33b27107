"""What rounds of relabeling depend on, and the directory in which they stand.

<rounds_dir>/
  plan.json              what the result depends on, and where the folder is
  command                the command lines that worked on it
  experiments/<label>_<round>-<digest>/
  predictions/round_<k>.csv   of all noisy clips, by round k's networks
  predictions/round_<k>.neighbours.csv   likewise, by their neighbours' labels
  tables/round_<k>.csv   the noisy table that round k trains on
  rounds.csv             one row per round
  submission.csv         test predictions of the last rounds, blended
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops.errors import DataError
from ops.folds import split_holdout
from ops.relabeling import check_count, check_mode, parse_mode
from toolkit.clips.tables import read_table
from toolkit.runs.config import InitFrom, RunConfig, SubmissionConfig
from toolkit.system.files import disk_errors, file_digest, read_json, remove_leftovers, write_json, write_text
from toolkit.system.locks import lock_file, take_lock
from toolkit.system.options import option


@dataclass(frozen=True, kw_only=True)
class RoundsConfig:
    """What the result of all rounds depends on.

    Attributes:
        modes: how round 1, 2, ... get their noisy clips from the predictions of the rounds before.
        run: of a training run on all noisy clips; each round changes what is its own.
        folds: those that every round trains.
    """

    modes: list[str]
    run: RunConfig
    folds: list[int]
    submission: SubmissionConfig = field(default_factory=SubmissionConfig)
    calibrate: bool = option("make scores compare between clips first", False)
    out_of_fold: bool = option("score noisy clips by all folds, also those that saw them", True)
    warm_start: bool = option("start from the weights of the round before", False)
    later_epochs: int | None = option("epochs after round 0; without it --epochs", None, low=1)
    equal_steps: bool = option("as many steps in rounds that keep fewer clips", False)
    share_last_rounds: int = option(
        "number of last rounds that train every fold on all kept clips",
        0,
        low=0,
    )
    neighbours: int | None = option("weigh the votes of so many most alike clips, too", None, low=1)
    votes: list[str] | None = option("weigh other experiments' predictions, too, CSV", None)
    blend_rounds: int = option("number of last rounds blended into submission.csv", 1, low=1)

    def __post_init__(self):
        n_rounds = len(self.modes)
        if self.run.data.noisy_train_df is None:
            raise ValueError(
                "the rounds choose among noisy clips: give --noisy_train_df and --noisy_train_data_dir"
            )
        if self.run.data.soft_labels is not None:
            raise ValueError("the rounds choose the noisy clips' labels: leave out --soft_labels")
        if self.blend_rounds > n_rounds + 1:
            raise ValueError(
                f"--blend_rounds: expected at most {n_rounds + 1}, round 0 and those of --rounds, got "
                f"{self.blend_rounds}"
            )
        if self.share_last_rounds > n_rounds:
            raise ValueError(
                f"--share_last_rounds: expected at most {n_rounds}, the rounds of --rounds, got "
                f"{self.share_last_rounds}"
            )
        further = [flag for flag in ("neighbours", "votes") if getattr(self, flag)]
        if further and not any(parse_mode(mode)[0].several for mode in self.modes):
            raise ValueError(
                f"--{further[0]} is weighed by trust and correct: take such a mode, or leave it out"
            )
        if self.share_last_rounds and self.run.data.share_noisy:
            raise ValueError(
                "--share_noisy shares the clips of all rounds: leave out it or --share_last_rounds"
            )
        if self.blend_rounds > 1 and self.submission.sample_submission is None:
            raise ValueError(
                "--blend_rounds blends test predictions: give --sample_submission and --test_data_dir, or "
                "leave it out"
            )
        if self.blend_rounds > 1 and len(set(self.folds)) < self.run.data.n_folds:
            raise ValueError("--blend_rounds takes test predictions of all folds: leave out --folds")

    def to_json(self) -> dict[str, Any]:
        """What plan.json holds of it; how many rounds are blended may change."""
        return {
            "modes": self.modes,
            "config": self.run.to_json(),
            "folds": self.folds,
            "out_of_fold": self.out_of_fold,
            "calibrate": self.calibrate,
            "warm_start": self.warm_start,
            "later_epochs": self.later_epochs,
            "equal_steps": self.equal_steps,
            "share_last_rounds": self.share_last_rounds,
            "sample_submission": self.submission.sample_submission,
            "test_data_dir": self.submission.test_data_dir,
            **({"neighbours": self.neighbours} if self.neighbours else {}),
            **({"votes": [_with_digest(path) for path in self.votes]} if self.votes else {}),
        }

    @property
    def noisy_df(self) -> str:
        return self.run.data.noisy_train_df

    @property
    def n_rounds(self) -> int:
        return len(self.modes) + 1

    def check_modes(self) -> None:
        """Raises DataError where a mode asks for more classes than there are, or for too few clips."""
        for number, mode in enumerate(self.modes, 1):
            check_mode(mode, self.run.n_classes)
            check_count(mode, self.min_clips(number))

    def n_drawn(self, n_clips: int) -> int:
        """How many of a table's clips a training run takes."""
        return min(n_clips, self.run.data.max_samples or n_clips)

    def clips_per_fold(self, number: int, n_curated: int, n_kept: int) -> tuple[float, float]:
        """Curated and noisy clips that a fold trains on, on average, of n_kept noisy ones."""
        n_folds = self.run.data.n_folds
        part = 1 / n_folds
        if self.shares_noisy(number):
            part = 1.0
        elif self.run.data.cross_fit_noisy:
            part = 1 - part
        return n_curated * (n_folds - 1) / n_folds, n_kept * part

    def epochs(self, number: int, n_curated: int, n_noisy: int, n_kept: int) -> int:
        """Of a round that keeps n_kept of the n_noisy clips and trains on n_curated others."""
        if number == 0:
            return self.run.train.epochs
        epochs = self.later_epochs or self.run.train.epochs
        if not self.equal_steps:
            return epochs
        counts = [sum(self.clips_per_fold(number, n_curated, n)) for n in (n_noisy, n_kept)]
        return max(1, round(epochs * counts[0] / max(counts[1], 1)))

    def min_clips(self, number: int) -> int:
        """How many noisy clips a round needs: one for each fold's share."""
        return 1 if self.shares_noisy(number) else self.run.data.n_folds

    def shares_noisy(self, number: int) -> bool:
        """Whether every fold of a round trains on all of its noisy clips."""
        is_last = number >= self.n_rounds - self.share_last_rounds
        return number > 0 and (self.run.data.share_noisy or is_last)

    @property
    def n_predicting(self) -> int:
        """The rounds from 0 on whose networks predict the noisy clips."""
        return self.n_rounds - max(self.share_last_rounds, 1)

    def history(self, number: int, several: bool) -> range:
        """The rounds by whose predictions a round chooses: all so far, or the latest."""
        end = min(number, self.n_predicting)
        return range(0 if several else end - 1, end)

    def run_config(self, number: int, directory: RoundsDirectory, init_from: InitFrom | None) -> RunConfig:
        """The config of a round's training run."""
        data, train = self.run.data, self.run.train
        label = f"{self.run.label}_{number}"
        shares = self.shares_noisy(number)
        if number == 0:
            curated_only = {"noisy_train_df": None, "noisy_train_data_dir": None}
            data = replace(data, **curated_only, share_noisy=False, cross_fit_noisy=False)
            return replace(self.run, data=data, train=replace(train, init_from=init_from), label=label)
        tables = data.train_df, self.noisy_df, directory.table(number)
        n_curated, *counts = (self.n_drawn(len(read_table(table, ["fname"]))) for table in tables)
        if data.holdout_size:
            n_curated = len(split_holdout([""] * n_curated, data.holdout_size, data.kfold_seed)[0])
        epochs = self.epochs(number, n_curated, *counts)
        data = replace(
            data,
            noisy_train_df=str(directory.as_begun.table(number)),
            share_noisy=shares,
            cross_fit_noisy=data.cross_fit_noisy and not shares,
        )
        # The same share of the epochs without augmentation as in round 0.
        switch_off_on = train.switch_off_augmentations_on * epochs // train.epochs
        train = replace(train, switch_off_augmentations_on=switch_off_on, epochs=epochs, init_from=init_from)
        return replace(self.run, data=data, train=train, label=label)


@dataclass(frozen=True)
class RoundsDirectory:
    """The paths of a job of rounds."""

    path: Path

    @property
    def as_begun(self) -> RoundsDirectory:
        """The same under the name it had at first, by which what is trained in it names it ever since."""
        return RoundsDirectory(Path(self._recorded().get("rounds_dir", self.path)))

    def _recorded(self) -> dict[str, Any]:
        """What plan.json holds; nothing where there is none."""
        path = self.path / "plan.json"
        recorded = read_json(path, "the plan of these rounds") if path.exists() else {}
        is_plan = isinstance(recorded, dict) and (not path.exists() or {"modes", "config"} <= set(recorded))
        if not (
            is_plan
            and _are_texts(recorded.get("modes", []))
            and isinstance(recorded.get("rounds_dir", ""), str)
        ):
            raise DataError(
                f"{path}: expected the plan of these rounds, found {str(recorded)[:80]!r}; restore it, or "
                "give another --rounds_dir"
            )
        return recorded

    @property
    def label(self) -> str:
        """What the rounds that began here are called; "" where none did."""
        config = self._recorded().get("config", {})
        return config.get("label", "") if isinstance(config, dict) else ""

    @property
    def experiments(self) -> Path:
        return self.path / "experiments"

    def predictions(self, number: int) -> Path:
        return self.path / "predictions" / f"round_{number}.csv"

    def neighbours(self, number: int) -> Path:
        return self.path / "predictions" / f"round_{number}.neighbours.csv"

    def table(self, number: int) -> Path:
        return self.path / "tables" / f"round_{number}.csv"

    @property
    def report(self) -> Path:
        return self.path / "rounds.csv"

    @property
    def submission(self) -> Path:
        return self.path / "submission.csv"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folders and holds their lock; DataError where another process works here."""
        for folder in (self.path, self.experiments, self.path / "predictions", self.path / "tables"):
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        with lock_file(self.path / ".lock") as file:
            if not take_lock(file, file.name):
                raise DataError(
                    f"{self.path}: another process is at work on these rounds; wait for it, or give another "
                    "--rounds_dir"
                )
            for folder in (self.path, self.path / "predictions", self.path / "tables"):
                remove_leftovers(folder)
            yield

    def check_plan(self, plan: RoundsConfig) -> None:
        """Raises DataError where the directory holds rounds of another plan, or was moved.

        Further rounds may follow; not so once several last rounds that share all clips have begun: in a
        longer plan these would have chosen their clips otherwise. (A single one is trained again, on shares.)
        """
        path = self.path / "plan.json"
        if not path.exists():
            return self._refuse_strangers()
        there, here = self._recorded(), self._content(plan)
        begun_at = self.as_begun.path
        if not begun_at.exists() or not begun_at.samefile(self.path):
            raise DataError(
                f"{self.path}: these rounds began as --rounds_dir {begun_at}, where their experiments look "
                "for their tables; move it back there, or start from the same working directory, or give "
                "another --rounds_dir"
            )
        if plan.run.is_of(RunConfig.from_json(there["config"], path)):
            there["config"] = here["config"]  # an earlier version's lacks settings
        n_begun = len(there["modes"])
        is_shared = plan.share_last_rounds > 1 and self.table(n_begun + 1 - plan.share_last_rounds).exists()
        if not is_shared and here["modes"][:n_begun] == there["modes"]:
            there["modes"] = here["modes"]
        if there != here:
            raise DataError(
                f"{path}: differs from this command in {_difference(there, here)}; repeat the command these "
                "rounds began with (more rounds may follow, unless several last ones share all clips and "
                "have begun), or give another --rounds_dir"
            )
        return None

    def _refuse_strangers(self) -> None:
        """Raises DataError where files of rounds stand here without their plan."""
        tables = [file for name in ("tables", "predictions") for file in (self.path / name).glob("*.csv")]
        strangers = [file for file in (self.report, self.submission, *tables) if file.exists()]
        if strangers:
            raise DataError(
                f"{self.path}: expected a new folder, or rounds with their plan.json, found "
                f"{strangers[0]} without it; give another --rounds_dir"
            )

    def _content(self, plan: RoundsConfig) -> dict[str, Any]:
        """What plan.json holds; the noisy table by its content, since every round draws from it."""
        rows = read_table(plan.noisy_df, ["fname", "labels"]).to_csv(index=False)
        digest = hashlib.sha256(rows.encode()).hexdigest()[:16]
        return {
            **plan.to_json(),
            "noisy_clips": f"{plan.noisy_df} {digest}",
            "rounds_dir": str(self.as_begun.path),
        }

    def n_finished(self, plan: RoundsConfig) -> int:
        """How many rounds of the plan are finished; of a longer one those that share no longer are not."""
        if not self.report.exists():
            return 0
        n_reported, n_begun = len(read_table(self.report, ["round"])), len(self._recorded()["modes"]) + 1
        return n_reported if plan.n_rounds == n_begun else min(n_reported, n_begun - plan.share_last_rounds)

    def start(self, plan: RoundsConfig, argv: Sequence[str]) -> None:
        """Records plan and command."""
        write_json(self.path / "plan.json", self._content(plan))
        command = self.path / "command"
        write_text(command, (command.read_text() if command.exists() else "") + shlex.join(argv) + "\n")


def _with_digest(path: str) -> str:
    """A table's name and 16 hex digits of its content."""
    return f"{path} {file_digest(Path(path))[:16]}"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _difference(there: Any, here: Any, name: str = "") -> str:
    """Names the first entry in which two plans differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), key)
    values = [" ".join(map(str, value)) if isinstance(value, list) else value for value in (there, here)]
    return f"{name or 'its form'} ({values[0]} there, {values[1]} here)"
