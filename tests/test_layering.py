"""Who imports whom: scripts import ops and networks; ops never networks; networks ops.features only."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_imports_a_script():
    for path in [*ROOT.glob("*.py"), *ROOT.glob("ops/**/*.py"), *ROOT.glob("networks/*.py")]:
        assert not imported(path) & SCRIPTS, path


def test_ops_does_not_import_networks():
    for path in ROOT.glob("ops/**/*.py"):
        assert not any(name.split(".")[0] == "networks" for name in imported(path)), path


def test_networks_import_only_the_front_end_from_ops():
    for path in ROOT.glob("networks/*.py"):
        from_ops = {name for name in imported(path) if name.split(".")[0] == "ops"}
        assert all(name.startswith("ops.features") for name in from_ops), path
