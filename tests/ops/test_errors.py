"""Errors travel between processes; wrong names name the nearest."""

import importlib
import inspect
import pickle
import pkgutil
from pathlib import Path

import pytest

from ops.errors import DataError, nearest
from repository import ROOT


def kinds_of(kind: type) -> list[type]:
    return [kind, *(below for child in kind.__subclasses__() for below in kinds_of(child))]


def all_kinds() -> list[type]:
    """DataError and all that is derived from it in the project."""
    packages = [str(ROOT / name) for name in ("ops", "networks", "toolkit")]
    for package in packages:
        for module in pkgutil.walk_packages([package], f"{Path(package).name}."):
            importlib.import_module(module.name)
    own = {Path(package).name for package in packages}
    return [kind for kind in kinds_of(DataError) if kind.__module__.split(".")[0] in own]


def example(kind: type) -> DataError:
    """An instance, from what its __init__ asks for."""
    if kind.__init__ is ValueError.__init__:
        return kind("data.csv: expected rows, found none")
    parameters = inspect.signature(kind).parameters.values()
    return kind(*(["a: ä", "b"] if "Sequence" in str(p.annotation) else f"of {p.name}" for p in parameters))


def test_every_kind_is_found():
    assert {"DataError", "ProblemsError", "MalformedRow", "MissingAudioError"} <= {
        kind.__name__ for kind in all_kinds()
    }


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_errors_travel_between_processes(kind, protocol):
    """As torch.distributed sends them: pickled."""
    error = example(kind)
    error.seen_by = "rank 1"
    found = pickle.loads(pickle.dumps(error, protocol))
    assert type(found) is kind
    assert str(found) == str(error) != ""
    assert found.args == error.args and vars(found) == vars(error)


def test_nearest_names():
    assert nearest("bark", ["Meow", "BARK"]) == " (nearest: 'BARK')"
    assert nearest("Brak", iter(["Meow", "Bark"])) == " (nearest: 'Bark')"
    assert nearest("Siren", ["Meow"]) == ""
