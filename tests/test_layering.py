"""Who imports whom: scripts everything, networks and toolkit only ops, ops itself alone; nothing a script."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
ALLOWED = {"ops": {"ops"}, "networks": {"networks", "ops"}, "toolkit": {"toolkit", "ops"}}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_imports_a_script():
    for path in [*ROOT.glob("*.py"), *(path for name in ALLOWED for path in ROOT.glob(f"{name}/**/*.py"))]:
        assert not imported(path) & SCRIPTS, path


def test_packages_import_only_what_lies_below_them():
    for package, allowed in ALLOWED.items():
        for path in ROOT.glob(f"{package}/**/*.py"):
            own = {name.split(".")[0] for name in imported(path)} & set(ALLOWED)
            assert own <= allowed, path
