"""What rounds depend on, and the directory in which they stand.

<rounds_dir>/
  plan.json              what the result depends on, and where the folder is
  command                the command lines that worked on it
  experiments/<label>_<round>-<digest>/
  predictions/round_<k>.csv   of all noisy clips, by round k's networks
  tables/round_<k>.csv   the noisy table that round k trains on
  rounds.csv             a row a round
  submission.csv         test predictions of the last rounds, blended
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops.errors import DataError
from toolkit.clips.tables import read_table
from toolkit.runs.experiment import lock_file
from toolkit.system.files import disk_errors, read_json, remove_leftovers, write_json, write_text


@dataclass(frozen=True)
class Plan:
    """What the result of all rounds depends on.

    Attributes:
        modes: how round 1, 2, ... get their noisy clips from the predictions of the round before.
        config: of a training run on all noisy clips; each round changes what is its own.
        folds: those that every round trains.
        out_of_fold: noisy clips are scored by the folds that did not train on them.
        calibrate: probabilities are calibrated before relabeling.
        warm_start: rounds from 1 on start from the weights of the round before.
        later_epochs: epochs of rounds from 1 on; None: as many as round 0.
        equal_steps: these on all noisy clips; on fewer clips more, as many steps as all of them would take.
        share_last_rounds: in so many rounds, the last ones, every fold trains on all kept clips. Their noisy
            clips cannot be scored out of fold: all of them choose by the predictions of the rounds before.
        sample_submission, test_data_dir: the test clips, or None.
    """

    modes: list[str]
    config: dict[str, Any]
    folds: list[int]
    out_of_fold: bool
    calibrate: bool
    warm_start: bool
    later_epochs: int | None
    equal_steps: bool
    share_last_rounds: int
    sample_submission: str | None
    test_data_dir: str | None

    @property
    def noisy_df(self) -> str:
        return self.config["data"]["noisy_train_df"]

    @property
    def n_rounds(self) -> int:
        return len(self.modes) + 1

    def n_drawn(self, n_clips: int) -> int:
        """How many of a table's clips a training run takes."""
        return min(n_clips, self.config["data"]["max_samples"] or n_clips)

    def clips_a_fold(self, number: int, n_curated: int, n_kept: int) -> tuple[float, float]:
        """Curated and noisy ones, on average, of n_kept noisy clips."""
        n_folds = self.config["data"]["n_folds"]
        share = 1 / n_folds
        if self.shares_noisy(number):
            share = 1.0
        elif self.config["data"].get("cross_fit_noisy"):
            share = 1 - share
        return n_curated * (n_folds - 1) / n_folds, n_kept * share

    def epochs(self, number: int, n_curated: int, n_noisy: int, n_kept: int) -> int:
        """Of a round that keeps n_kept of the n_noisy clips and trains on n_curated others."""
        if number == 0:
            return self.config["train"]["epochs"]
        epochs = self.later_epochs or self.config["train"]["epochs"]
        if not self.equal_steps:
            return epochs
        counts = [sum(self.clips_a_fold(number, n_curated, n)) for n in (n_noisy, n_kept)]
        return max(1, round(epochs * counts[0] / max(counts[1], 1)))

    def least_clips(self, number: int) -> int:
        """How many noisy clips a round needs: one for each fold's share."""
        return 1 if self.shares_noisy(number) else self.config["data"]["n_folds"]

    def shares_noisy(self, number: int) -> bool:
        """Whether every fold of a round trains on all of its noisy clips."""
        is_last = number >= self.n_rounds - self.share_last_rounds
        return number > 0 and (self.config["data"]["share_noisy"] or is_last)

    @property
    def n_predicting(self) -> int:
        """The rounds from 0 on whose networks predict the noisy clips."""
        return self.n_rounds - max(self.share_last_rounds, 1)

    def history(self, number: int, several: bool) -> range:
        """The rounds by whose predictions a round chooses: all so far, or the latest."""
        end = min(number, self.n_predicting)
        return range(0 if several else end - 1, end)


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
        if not isinstance(recorded, dict) or (path.exists() and not {"modes", "config"} <= set(recorded)):
            raise DataError(f"{path}: expected the plan of these rounds; give another --rounds_dir")
        return recorded

    @property
    def experiments(self) -> Path:
        return self.path / "experiments"

    def predictions(self, number: int) -> Path:
        return self.path / "predictions" / f"round_{number}.csv"

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
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(
                    f"{self.path}: another process is at work on these rounds; wait for it, or give another "
                    "--rounds_dir"
                ) from error
            for folder in (self.path, self.path / "predictions", self.path / "tables"):
                remove_leftovers(folder)
            yield

    def check_plan(self, plan: Plan) -> None:
        """Raises DataError where the directory holds rounds of another plan, or was moved.

        Modes of rounds that were not trained yet may change, and further rounds may follow.
        """
        path = self.path / "plan.json"
        if not path.exists():
            folders = (self.path / "tables", self.path / "predictions")
            files = [
                self.report,
                self.submission,
                *(file for folder in folders for file in folder.glob("*.csv")),
            ]
            strangers = [file for file in files if file.exists()]
            if strangers:
                raise DataError(
                    f"{self.path}: expected a new folder, or rounds with their plan.json, found "
                    f"{strangers[0]} without it; give another --rounds_dir"
                )
            return
        there, here = self._recorded(), self._content(plan)
        begun_at = self.as_begun.path
        if not begun_at.exists() or not begun_at.samefile(self.path):
            raise DataError(
                f"{self.path}: these rounds began as --rounds_dir {begun_at}, where their experiments look "
                "for their tables; move it back there, or start from the same working directory, or give "
                "another --rounds_dir"
            )
        trained = self._n_trained(there)
        n_modes, n_begun = len(here["modes"]), len(there["modes"])
        fits = n_modes >= min(n_begun, trained + 1)
        if n_modes != n_begun and plan.share_last_rounds > 1:  # rounds that share would choose otherwise
            fits = trained <= n_begun - plan.share_last_rounds and n_modes > trained
        if fits and there["modes"][:trained] == here["modes"][:trained]:
            there["modes"] = here["modes"]
        if there != here:
            raise DataError(
                f"{path}: differs from this command in {_difference(there, here)}; repeat the command these "
                "rounds began with (modes of rounds not trained yet may change, more may follow), or give "
                "another --rounds_dir"
            )

    def drop_changed(self, plan: Plan) -> None:
        """Removes the tables of rounds that are not trained yet and choose in another way now."""
        there = self._recorded()
        if there and there["modes"] != plan.modes:
            for number in range(self._n_trained(there) + 1, len(there["modes"]) + 1):
                self.table(number).unlink(missing_ok=True)

    def _n_trained(self, recorded: dict[str, Any]) -> int:
        """The last round of a recorded plan whose training began."""
        names = [path.name for path in self.experiments.glob("*")]
        begun = [
            number
            for number in range(1, len(recorded["modes"]) + 1)
            if any(name.startswith(f"{recorded['config']['label']}_{number}-") for name in names)
        ]
        return max(begun, default=0)

    def _content(self, plan: Plan) -> dict[str, Any]:
        """What plan.json holds; the noisy table by its content, since every round draws from it."""
        rows = read_table(plan.noisy_df, ["fname", "labels"]).to_csv(index=False)
        digest = hashlib.sha256(rows.encode()).hexdigest()[:16]
        return {
            **asdict(plan),
            "noisy_clips": f"{plan.noisy_df} {digest}",
            "rounds_dir": str(self.as_begun.path),
        }

    def finished(self, plan: Plan) -> int:
        """How many rounds of the plan, or of the beginning of it, are done."""
        repeated = self.repeated(plan)
        return self._n_reported() if repeated is None else repeated

    def repeated(self, plan: Plan) -> int | None:
        """The finished round that was the last, every fold on all clips, and no longer is."""
        if plan.share_last_rounds != 1 or plan.config["data"]["share_noisy"] or not self._n_reported():
            return None
        n_begun = len(self._recorded()["modes"])
        return n_begun if n_begun < len(plan.modes) and self._n_reported() > n_begun else None

    def _n_reported(self) -> int:
        return len(read_table(self.report, ["round"])) if self.report.exists() else 0

    def start(self, plan: Plan, argv: Sequence[str]) -> None:
        """Records plan and command."""
        write_json(self.path / "plan.json", self._content(plan))
        command = self.path / "command"
        write_text(command, (command.read_text() if command.exists() else "") + shlex.join(argv) + "\n")


def _difference(there: Any, here: Any, name: str = "") -> str:
    """Names the first entry in which two plans differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), key)
    values = [" ".join(map(str, value)) if isinstance(value, list) else value for value in (there, here)]
    return f"{name or 'its form'} ({values[0]} there, {values[1]} here)"
