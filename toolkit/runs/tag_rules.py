"""How the scores of an experiment's networks become tags: its tags.json, see toolkit.training.tag_fitting."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ops.calibration import Calibration
from ops.errors import DataError
from ops.familiarity import Familiarity
from toolkit.system.files import read_json

DIGITS = 6  # of a fitted number; float32 holds no more
EXPECTED = "the rules that make tags of an experiment's scores"


@dataclass(frozen=True)
class TagRules:
    """What was fitted on out-of-fold predictions.

    Attributes:
        classes: of the experiment, in its order.
        calibration: scores -> probabilities that compare between clips.
        thresholds: (classes,) from which on a class applies.
        silence_db: frames of 20 ms below it are silent, RMS of full scale.
        window_seconds: as long as long training clips: longer recordings are heard in such windows.
        timeline_seconds: half as long as a usual training clip: the windows of a timeline.
        familiarity: fold -> tests of its network; empty where there was no audio to fit them on.
    """

    classes: list[str]
    calibration: Calibration
    thresholds: np.ndarray
    silence_db: float
    window_seconds: float
    timeline_seconds: float
    familiarity: dict[int, Familiarity] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "classes": self.classes,
            "calibration": asdict(self.calibration),
            "thresholds": _rounded(self.thresholds),
            "silence_db": self.silence_db,
            "window_seconds": self.window_seconds,
            "timeline_seconds": self.timeline_seconds,
            "familiarity": {
                str(fold): {name: _rounded(value) for name, value in vars(tests).items()}
                for fold, tests in self.familiarity.items()
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> TagRules:
        """Raises KeyError, TypeError, AttributeError or ValueError where it is not what to_json gives."""
        familiarity = {}
        for fold, tests in value["familiarity"].items():
            vectors = {name: _numbers(tests[name]) for name in ("mean", "scale", "weights")}
            if len({len(vector) for vector in vectors.values()}) != 1 or (vectors["scale"] <= 0).any():
                raise ValueError(f"familiarity of fold {fold}")
            limits = {name: _number(tests[name]) for name in ("bias", "max_distance")}
            familiarity[int(fold)] = Familiarity(**vectors, **limits)
        calibration = Calibration(*(_number(value["calibration"][name]) for name in ("slope", "intercept")))
        thresholds = _numbers(value["thresholds"])
        if len(thresholds) != len(value["classes"]):
            raise ValueError(f"{len(thresholds)} thresholds of {len(value['classes'])} classes")
        names = ("silence_db", "window_seconds", "timeline_seconds")
        numbers = [_number(value[name]) for name in names]
        if min(numbers[1:]) <= 0:
            raise ValueError("seconds above 0")
        return cls(list(value["classes"]), calibration, thresholds, *numbers, familiarity)


def read_rules(path: Path, classes: list[str]) -> TagRules | None:
    """What training kept; None where there is no file. DataError where it is not of these classes."""
    if not path.exists():
        return None
    content = read_json(path, EXPECTED)
    try:
        rules = TagRules.from_json(content)
        if rules.classes != classes:
            raise ValueError("other classes than config.json's")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: expected {EXPECTED}, found something else ({error!r}); remove it, and "
            "prediction fits it again"
        ) from error
    return rules


def _rounded(value: np.ndarray | float) -> Any:
    """Numbers of DIGITS significant digits."""
    if np.ndim(value):
        return [_rounded(item) for item in np.asarray(value).tolist()]
    return float(f"{value:.{DIGITS}g}")


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"a number, found {value!r}")
    return float(value)


def _numbers(values: Any) -> np.ndarray:
    return np.array([_number(value) for value in values])
