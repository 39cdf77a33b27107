"""Files, modules and their attributes that comments, docstrings and documents name or link to are there."""

import ast
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

from repository import ROOT

FOLDERS = ("benchmarks", "docs", "examples", "networks", "ops", "tests", "toolkit")
DOCUMENTS = ["README.md", "RESULTS.md", "Makefile", "data/README.md", *ROOT.glob("docs/*.md")]
MODULES = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py"))]

# ops/losses.py, tests/golden/*, docs/scaling.md, train_2d_cnn.py; not D/x.py, <x>.py, --script=x.py
PATHS = re.compile(rf"(?<![\w./<>*=-])((?:{'|'.join(FOLDERS)})/[\w./*-]*|[a-z_][\w/]*\.py\b)")
# toolkit.runs.history.EpochResult; not in a link or a path
NAMES = re.compile(r"(?<![\w./-])((?:ops|toolkit|networks)(?:\.[A-Za-z_]\w*)+)")
# [text](docs/loop.md#heading), ![picture](pictures/loop.svg); not [text](https://example.org)
LINKS = re.compile(r"\]\((?!https?:)([^)\s#]*)#?([^)\s]*)\)")


def prose(path: Path) -> str:
    """A document's text; of a module the docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join([*found, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute or annotated field in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


def lost(text: str, folder: Path) -> list[str]:
    """What a text names that is not there; paths count from the root or from the text's own folder."""
    paths = [word.rstrip(".-") for word in PATHS.findall(text)]
    names = NAMES.findall(text)
    return [
        *(path for path in paths if not any(next(at.glob(path), None) for at in (ROOT, folder))),
        *(name for name in names if not is_there(name)),
    ]


def headings(text: str) -> set[str]:
    """Names by which GitHub links to a document's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(text: str, folder: Path) -> list[str]:
    """Links of a document in that folder to files that are not there, or to headings that a page lacks."""
    broken, told = [], re.sub(r"(?m)^ {4}.*$", "", text)  # without code
    for file, heading in LINKS.findall(told):
        target = folder / file
        page = target.read_text(encoding="utf-8") if file and heading and target.is_file() else text
        if not target.exists() or (heading and heading not in headings(page)):
            broken.append(f"{file}#{heading}".removesuffix("#"))
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_what_documents_name_is_there(path):
    assert lost(prose(ROOT / path), (ROOT / path).parent) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_of_documents_lead_somewhere(path):
    assert broken_links((ROOT / path).read_text(encoding="utf-8"), (ROOT / path).parent) == []


def test_what_docstrings_and_comments_name_is_there():
    found = {str(path.relative_to(ROOT)): lost(prose(path), path.parent) for path in MODULES}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_rule_itself():
    there = """ops/losses.py, `toolkit.runs.history` and (networks/), see train_2d_cnn.py; docs/scaling.md. In
    networks.classifiers.NetworkConfig.features, toolkit.runs.history.EpochResult, ops/*.py, tests/golden/.
    D/a.py, https://example.org/ops/a.py, PATH/to.py and --script=b.py are no files of this repository's."""
    assert lost(there, ROOT) == [] and lost("classifiers.py", ROOT / "networks") == []
    assert lost("ops/lost.py, lost.py. (tests/lost/), classifiers.py", ROOT) == [
        *("ops/lost.py", "lost.py", "tests/lost/", "classifiers.py")
    ]
    assert lost("ops.lost toolkit.runs.history.lost, networks.classifiers.NetworkConfig.lost.", ROOT) == [
        *("ops.lost", "toolkit.runs.history.lost", "networks.classifiers.NetworkConfig.lost")
    ]


def test_the_rule_of_links():
    there = "# It's a `heading`\n[a](README.md) ![b](https://example.org/x.png) [c](docs/loop.md#7-ensemble)"
    assert broken_links(f"{there} [d](#its-a-heading)", ROOT) == []
    lost_ones = "[a](lost.md), [b](#lost) and [c](docs/loop.md#lost) ![d](lost.png)"
    assert broken_links(lost_ones, ROOT) == ["lost.md", "#lost", "docs/loop.md#lost", "lost.png"]


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130
