"""The house: who imports whom, how deep, how wide functions are; and importing changes nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import house

from repository import ROOT

SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
PACKAGES = {"ops": {"ops"}, "networks": {"networks", "ops"}, "toolkit": {"toolkit", "ops"}}
WINGS = ["system", "clips", "download", "runs", "training", "prediction", "rounds", "pages", "cli"]
KNOWN = house.modules(ROOT)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_imports_a_script():
    for name, path in KNOWN.items():
        assert not imported(path) & SCRIPTS, name


def test_packages_import_only_what_lies_below_them():
    for name, path in KNOWN.items():
        if name not in SCRIPTS:
            own = {other.split(".")[0] for other in imported(path)} & set(PACKAGES)
            assert own <= PACKAGES[name.split(".")[0]], name


def test_wings_import_only_what_lies_below_them():
    of_toolkit = {name: path for name, path in KNOWN.items() if name.startswith("toolkit.")}
    assert {name.split(".")[1] for name in of_toolkit} == set(WINGS)
    for name, path in of_toolkit.items():
        wing = WINGS.index(name.split(".")[1])
        for other in house.imports_of(path, of_toolkit):
            assert WINGS.index(other.split(".")[1]) <= wing, f"{name} imports {other}"


def test_chains_of_imports_are_short_and_functions_take_few_things():
    assert len(house.longest_chain(ROOT)) <= house.MAX["imports"], house.longest_chain(ROOT)
    assert house.widest_function(ROOT)[0] <= house.MAX["parameters"], house.widest_function(ROOT)


def test_configs_are_no_dictionaries():
    assert house.config_subscripts(ROOT) == []


def loads_torch(name: str, seen: frozenset = frozenset()) -> bool:
    """Whether importing a module imports torch: by its own imports at the top, or by those of others."""
    for node in ast.parse(KNOWN[name].read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom) and line_loads_torch(node, seen | {name}):
            return True
    return False


def line_loads_torch(node: ast.Import | ast.ImportFrom, seen: frozenset = frozenset()) -> bool:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [node.module, *(f"{node.module}.{name}" for name in names)]
    if any(name.split(".")[0] in ("torch", "torchaudio") for name in names):
        return True
    return any(loads_torch(name, seen) for name in names if name in KNOWN and name not in seen)


def test_scripts_prepare_the_process_before_they_load_torch():
    """OpenMP reads its setting when torch loads it."""
    prepared = set()
    for script in sorted(SCRIPTS):
        is_prepared = False
        for node in ast.parse(KNOWN[script].read_text()).body:
            if isinstance(node, ast.Expr) and "prepare_process()" in ast.unparse(node):
                is_prepared = True
            if isinstance(node, ast.Import | ast.ImportFrom) and line_loads_torch(node):
                assert is_prepared, f"{script}.py: {ast.unparse(node)}"
                prepared.add(script)
    assert {
        "train_2d_cnn",
        "predict_2d_cnn",
        "export_model",
        "review_labels",
        "report_experiment",
    } <= prepared


def test_importing_changes_nothing():
    """Neither the environment nor the threads of a program that uses a part of this one."""
    names = [name for name in KNOWN if name not in SCRIPTS]
    code = "import sklearn, tensorboardX\n"  # which set variables of the environment themselves
    code += "import importlib, os, signal, torch; before = dict(os.environ), torch.get_num_threads()\n"
    code += f"for name in {names}: importlib.import_module(name)\n"
    code += "assert (dict(os.environ), torch.get_num_threads()) == before\n"
    code += "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
