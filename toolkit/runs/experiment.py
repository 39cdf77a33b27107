"""The directory of a run: its name, the paths in it, log, results and locks.

<experiments_dir>/<label>-<8 hex digits of the config's digest>/
What it begins with is written by toolkit.runs.records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.errors import DataError
from toolkit.runs.config import RunConfig, read_config
from toolkit.system import console, processes
from toolkit.system.files import disk_errors, read_json, remove_leftovers, write_json, write_text
from toolkit.system.locks import lock_file, take_lock
from toolkit.system.suggestions import nearest_path

PATIENCE_SECONDS = 60  # for a lock that is held while small files are written


class Experiment:
    """An experiment's directory; several processes may write to one at the same time."""

    def __init__(self, directory: str | Path, config: RunConfig):
        self.directory, self.config = Path(directory), config

    @classmethod
    def start(cls, config: RunConfig, experiments_dir: str | Path, resume: bool) -> Experiment:
        """Creates the experiment of a config, or with `resume` joins it.

        Raises DataError where it exists and `resume` is off. What torchrun starts again resumes what it
        has started.
        """
        resume = resume or cls._started_by_this_launch(config, experiments_dir)
        experiment = cls(cls.directory_of(config, experiments_dir), config)
        directory = experiment.directory
        try:
            Path(experiments_dir).mkdir(parents=True, exist_ok=True)
            directory.mkdir(exist_ok=resume)
        except FileExistsError:
            raise cls._exists(directory) from None
        except OSError as error:
            raise DataError(f"{directory}: cannot be created ({error.strerror})") from error
        if not resume and (launch := processes.launch()):
            write_text(experiment.path(".launch"), launch.identity)
        with experiment.locked():
            remove_leftovers(directory)
            remove_leftovers(experiment.path("predictions"), "submission.csv")
        return experiment

    @classmethod
    def directory_of(cls, config: RunConfig, experiments_dir: str | Path) -> Path:
        """Where a config's experiment is or would be; of an earlier version it has another digest."""
        directory = Path(experiments_dir) / f"{config.label}-{config.digest()}"
        if not directory.exists():
            for path, earlier in cls._of_label(config.label, experiments_dir):
                if config.is_of(earlier):
                    return path
        return directory

    @staticmethod
    def _of_label(label: str, experiments_dir: str | Path) -> Iterator[tuple[Path, RunConfig]]:
        for path in sorted(Path(experiments_dir).glob(f"{label}-*/config.json")):
            with contextlib.suppress(DataError):  # not this run's to judge
                yield path.parent, read_config(path)

    @classmethod
    def check_startable(cls, config: RunConfig, experiments_dir: str | Path, resume: bool) -> None:
        """What `start` would refuse, found before anything long begins and without writing."""
        if Path(experiments_dir).exists() and not Path(experiments_dir).is_dir():
            raise DataError(f"{experiments_dir}: expected a folder for experiments, found a file")
        directory = cls.directory_of(config, experiments_dir)
        if directory.exists() and not resume and not cls._started_by_this_launch(config, experiments_dir):
            raise cls._exists(directory)
        if resume and not directory.exists():
            for path, there in cls._of_label(config.label, experiments_dir):
                if config.is_of_another_backbone(there):
                    backbone, digest, _ = config.embedding
                    raise DataError(
                        f"{path}: was trained on embeddings of another backbone (digest "
                        f"{there.embedding[1]}) than {backbone} is now ({digest}); put that one in its "
                        "place, or start anew without --resume"
                    )

    @classmethod
    def nearest_to(cls, config: RunConfig, experiments_dir: str | Path) -> str | None:
        """Where a config has no experiment yet: the one of the same label that differs least, in words."""
        if cls.directory_of(config, experiments_dir).exists():
            return None
        own, nearest = config.settings(), []
        for directory, config_there in cls._of_label(config.label, experiments_dir):
            there = config_there.settings()
            names = [name for name in {**own, **there} if own.get(name) != there.get(name)]
            nearest.append((len(names), directory, names, there))
        if not nearest:
            return "no experiment of this label"
        _, directory, names, there = min(nearest, key=lambda found: found[:2])
        differing = ", ".join(f"{name} ({there.get(name)} there, {own.get(name)} here)" for name in names[:5])
        return f"the nearest, {directory}, differs in {differing}"

    @classmethod
    def _started_by_this_launch(cls, config: RunConfig, experiments_dir: str | Path) -> bool:
        launch = processes.launch()
        if launch is None or launch.restarts == 0:
            return False
        note = cls.directory_of(config, experiments_dir) / ".launch"
        return note.is_file() and note.read_text() == launch.identity

    @staticmethod
    def _exists(directory: Path) -> DataError:
        return DataError(
            f"{directory}: an experiment of the same configuration exists; add --resume to continue "
            "it, or give another --label to start anew"
        )

    @classmethod
    def load(cls, directory: str | Path) -> Experiment:
        """Opens an existing experiment for reading. Raises DataError where there is none."""
        path = Path(directory) / "config.json"
        if not path.is_file():
            near = "" if Path(directory).exists() else nearest_path(directory)
            raise DataError(
                f"{directory}: expected an experiment's directory with a config.json, found none{near}; "
                "give the path that the training script printed"
            )
        return cls(directory, read_config(path))

    @property
    def classes(self) -> list[str]:
        return self.config.data.classes

    @property
    def n_folds(self) -> int:
        return self.config.data.n_folds

    @property
    def is_pretraining(self) -> bool:
        """Whether pretrain.py made it: one network, in the place of fold 0's, and no predictions."""
        return self.config.train.pretraining is not None

    def path(self, *parts: str) -> Path:
        return self.directory.joinpath(*parts)

    def checkpoint(self, fold: int, name: str) -> Path:
        """checkpoints/fold_<k>/<name>.pth"""
        return self.path("checkpoints", f"fold_{fold}", f"{name}.pth")

    def start_of(self, fold: int) -> Path:
        """The weights that a fold of another run starts from, see toolkit.training.warm_start."""
        return (
            self.checkpoint(0, "final_model") if self.is_pretraining else self.checkpoint(fold, "best_model")
        )

    def predictions(self, name: str) -> Path:
        """predictions/<name>.csv"""
        return self.path("predictions", f"{name}.csv")

    def history(self, fold: int) -> Path:
        """history/fold_<k>.csv"""
        return self.path("history", f"fold_{fold}.csv")

    def summaries(self, fold: int) -> Path:
        return self.path("summaries", f"fold_{fold}")

    def prepare_fold(self, fold: int) -> None:
        """Makes a fold's folders."""
        for folder in (
            self.path("checkpoints", f"fold_{fold}"),
            self.path("predictions"),
            self.path("history"),
            self.summaries(fold),
        ):
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def log(self, message: str, is_result: bool = False) -> None:
        """Prints a line, with --quiet only a result, and appends it, with the time, to `log`.

        Of processes that share work one does.
        """
        if not processes.is_main():
            return
        (console.result if is_result else console.note)(message)
        line = f"{datetime.now().isoformat(sep=' ', timespec='seconds')} {message}\n"
        path = self.path("log")
        with disk_errors(path), open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line)  # one write to a file opened for appending: lines of processes do not mix

    def results(self) -> dict[str, Any]:
        """What results.json holds: {"fold0": {"metric": ...}, ..., "metric": ...}."""
        path = self.path("results.json")
        found = read_json(path, "an experiment's results") if path.exists() else {}
        if not isinstance(found, dict):
            raise _wrong_results(path, "an object", found)
        for name, value in found.items():
            if name != "metric" and not isinstance(value, dict):
                raise _wrong_results(path, f"an object as {name!r}", value)
            of_fold = {"metric": value} if name == "metric" else value
            for key in ("metric", "holdout_metric"):
                if not _is_metric(of_fold.get(key)):
                    raise _wrong_results(path, f"a number from 0 to 1 or null as {key!r}", of_fold[key])
            epoch = of_fold.get("best_epoch", 0)
            if type(epoch) is not int or epoch < 0:
                raise _wrong_results(path, "the number of an epoch as 'best_epoch'", epoch)
        return found

    def fold_results(self) -> dict[int, dict[str, Any]]:
        """What is recorded of each fold whose training has ended: metric, best_epoch, ..."""
        results = self.results()
        recorded = {fold: results.get(f"fold{fold}", {}) for fold in range(self.n_folds)}
        return {fold: found for fold, found in recorded.items() if "metric" in found}

    def require_classes(self) -> None:
        """DataError where the experiment is one of pretraining, which scores no classes."""
        if self.is_pretraining:
            raise DataError(
                f"{self.directory}: expected networks that tell classes, found one pretrained without "
                "labels; train from it (--init_from) and give that experiment"
            )

    def trained_folds(self) -> list[int]:
        """The folds whose training has ended; DataError where there is none, a warning where some lack."""
        self.require_classes()
        trained = list(self.fold_results())
        if not trained:
            raise DataError(f"{self.directory}: expected a finished fold, found none; finish its training")
        if len(trained) < self.n_folds and processes.is_main():
            missing = sorted(set(range(self.n_folds)) - set(trained))
            console.warn(f"folds {missing} are not finished; predicting with {trained}")
        return trained

    def is_finished(self, fold: int, parts: tuple[str, ...]) -> bool:
        """Whether a fold is trained and its predictions of these parts (val, test) are there."""
        names = [f"{part}_preds_fold_{fold}" for part in parts]
        return fold in self.fold_results() and all(self.predictions(name).exists() for name in names)

    def record(self, **results: Any) -> None:
        """Merges results into results.json, which other processes may write, too."""
        with self.locked():
            merged = {**self.results(), **results}
            write_json(self.path("results.json"), dict(sorted(merged.items())))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the experiment's lock: short, around reading and writing shared files."""
        path = self.path(".lock")
        with lock_file(path) as file:
            if not take_lock(file, path, PATIENCE_SECONDS):
                raise DataError(
                    f"{path}: another process has held this lock for {PATIENCE_SECONDS} seconds, which takes "
                    "milliseconds at most; look for one that is stopped or stuck (fuser), end it, and run "
                    "again with --resume"
                )
            yield

    @contextmanager
    def fold_claimed(self, fold: int) -> Iterator[None]:
        """Holds a fold's lock; DataError where another process trains the same fold."""
        self.prepare_fold(fold)
        with lock_file(self.path("checkpoints", f"fold_{fold}", ".lock")) as file:
            if not take_lock(file, file.name):
                raise DataError(
                    f"{self.directory}: another process is training fold {fold}; wait for it, or give "
                    "other --folds"
                )
            remove_leftovers(self.checkpoint(fold, "last").parent)
            remove_leftovers(self.path("history"), f"fold_{fold}.csv")
            for part in ("val", "holdout", "test"):
                remove_leftovers(self.path("predictions"), f"{part}_preds_fold_{fold}.csv")
            yield


def _is_metric(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 1)


def _wrong_results(path: Path, expected: str, found: Any) -> DataError:
    return DataError(
        f"{path}: expected an experiment's results, {expected}, found {str(found)[:80]!r}; restore the file, "
        "or remove it: --resume records finished folds anew"
    )
