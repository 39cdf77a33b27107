"""How many modules of the project stand on each other in ops: a reader of one need not know many others."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LEVELS = {
    "ops.errors": 1,
    "ops.sampling": 1,
    "ops.logits": 1,
    "ops.samples": 1,
    "ops.losses": 1,
    "ops.features": 2,
    "ops.batching": 2,
    "ops.effects.transfer": 1,
    "ops.effects.sox": 2,
    "ops.effects.reverb": 2,
    "ops.effects.resampling": 2,
    "ops.effects.time_stretch": 2,
    "ops.effects.chain": 3,
    "ops.transforms": 4,
    "ops.batch_augmentation": 4,
}


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of ops that it imports."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.startswith("ops.") and path_of(name).is_file())


def path_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


@cache
def level(module: str) -> int:
    return 1 + max(map(level, imported(module)), default=0)


@pytest.mark.parametrize("module", MAX_LEVELS)
def test_ops_is_shallow(module):
    assert level(module) <= MAX_LEVELS[module]


def test_batches_are_augmented_without_the_code_that_draws():
    assert "ops.transforms" not in imported("ops.batch_augmentation") | imported("ops.batching")
