#!/usr/bin/env python3
"""How far a reader walks: files that a config passes, levels of imports, subscripts, widest signature.

    python benchmarks/house.py [--root OTHER_CHECKOUT]

The walks are measured, not read: a tiny training run, a tiny job of rounds and a prediction run in this
process, and a file counts where one of its functions is called with the parsed flags, the config, one of its
sections or the plan of the rounds; of the prediction, where one is called with clips, samples or batches.
With --root another checkout of this repository is measured by the same rules, as one from before a change.
"""

import argparse
import ast
import contextlib
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("ops", "networks", "toolkit")
CONFIG_WORDS = {"config", "data", "train", "network"}
SECTION_KEYS = (
    {"network", "data", "train"},
    {"train_df", "n_folds"},
    {"epochs", "optimizer"},
    {"aggregation_type"},
)
CONFIG_TYPES = {
    "Namespace",
    "RunConfig",
    "DataConfig",
    "TrainConfig",
    "SubmissionConfig",
    "Plan",
    "RoundsConfig",
}
CLIP_TYPES = {"Clip", "ClipsToPredict", "Sample", "Portion", "Share", "DataLoader", "EvaluationDataset"}
MAX = {"imports": 8, "subscripts": 0, "parameters": 6}


def modules(root: Path) -> dict[str, Path]:
    """The project's modules by their dotted names, scripts included."""
    paths = [*root.glob("*.py"), *(path for package in PACKAGES for path in root.glob(f"{package}/**/*.py"))]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """The project's modules that a file imports, anywhere in it but under TYPE_CHECKING."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return {name for name in found if name in known and known[name] != path}


def longest_chain(root: Path) -> list[str]:
    """The longest chain of imports, from a script down to a module that imports nothing of the project."""
    known = modules(root)
    graph = {name: imports_of(path, known) for name, path in known.items()}
    chains: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in chains:
            chains[name] = [name, *max((chain(other) for other in graph[name]), key=len, default=[])]
        return chains[name]

    return max(map(chain, sorted(graph)), key=len)


def config_subscripts(root: Path) -> list[str]:
    """config["..."], data["..."], train["..."] and network["..."], outside the config's own module.

    Pages are left out: their `data` is what a page shows.
    """
    found = []
    for name, path in modules(root).items():
        if name == "toolkit.runs.config" or ".pages" in name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                value = node.value.slice if isinstance(node.value, ast.Subscript) else node.value
                word = getattr(value, "id", getattr(value, "attr", getattr(value, "value", None)))
                if isinstance(node.slice.value, str) and word in CONFIG_WORDS:
                    found.append(f"{path.relative_to(root)}:{node.lineno}")
    return found


def widest_function(root: Path) -> tuple[int, str]:
    """The most parameters of a function, self not counted, and its name."""
    widths = []
    for name, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                names += [one.arg for one in (given.vararg, given.kwarg) if one]
                widths.append(
                    (len([one for one in names if one not in ("self", "cls")]), f"{name}.{node.name}")
                )
    return max(widths)


def carries_config(value: object) -> bool:
    if type(value) is dict:
        return any(
            keys <= value.keys() for keys in SECTION_KEYS if all(isinstance(key, str) for key in value)
        )
    return type(value).__name__ in CONFIG_TYPES


def files_passed(root: Path, work: Callable[[], None], counts: Callable[[object], bool]) -> set[str]:
    """The project's files of which a function is called, while `work` runs, in a frame that counts."""
    found, own = set(), set(map(str, modules(root).values()))

    def watch(frame, event, _):
        path = frame.f_code.co_filename
        if event == "call" and path in own and counts(frame):
            found.add(path.removeprefix(f"{root}/"))

    sys.setprofile(watch)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            work()
    finally:
        sys.setprofile(None)
    return found


def arguments(frame) -> list[object]:
    """The arguments with which a frame's function was called."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
    return [frame.f_locals[name] for name in names if name in frame.f_locals]


def has_config(frame) -> bool:
    return any(map(carries_config, arguments(frame)))


def carries_clips(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(carries_clips(one) for one in value[:2])
    return type(value).__name__ in CLIP_TYPES or (type(value) is dict and "signal" in value)


def has_clips(frame) -> bool:
    return any(map(carries_clips, arguments(frame)))


def walks(root: Path, folder: Path) -> dict[str, set[str]]:
    """The files of each walk."""
    data = folder / "data"
    script = importlib.import_module
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        sizes = ["--n_curated", "16", "--n_noisy", "16", "--n_test", "8", "--seed", "3"]
        script("create_demo_data").main(["--output_dir", str(data), *sizes])
        table = str(data / "train_curated.csv")
        script("create_class_map").main(["--train_df", table, "--output_file", str(data / "classmap.json")])
    test = ["--test_data_dir", str(data / "test"), "--sample_submission", str(data / "sample_submission.csv")]
    network = "--features=mel_512_512_16 --aggregation_type=max --num_conv_blocks=2 --conv_base_depth=4"
    network += " --start_deep_supervision_on=0 --optimizer=adam --scheduler=1cycle_0.0001_0.01 --n_folds=2"
    network += " --epochs=1 --batch_size=8 --max_audio_length=1 --p_mixup=0.5 --num_workers=0 --device=cpu"
    run = [*network.split(), "--train_df", table, "--train_data_dir", str(data / "train_curated")]
    run += ["--classmap", str(data / "classmap.json"), *test]
    noisy = ["--noisy_train_df", str(data / "train_noisy.csv")]
    noisy += ["--noisy_train_data_dir", str(data / "train_noisy")]
    experiments, rounds_dir = folder / "experiments", folder / "rounds"

    def train() -> None:
        script("train_2d_cnn").main([*run, "--folds", "0", "1", "--experiments_dir", str(experiments)])

    def rounds() -> None:
        flags = [*run, *noisy, "--rounds", "scoring_8", "--rounds_dir", str(rounds_dir), "--network=2d"]
        script("run_noisy_rounds").main(flags)

    def predict() -> None:
        (experiment,) = experiments.iterdir()
        flags = ["--experiment", str(experiment), "--test_df", str(data / "sample_submission.csv")]
        flags += ["--test_data_dir", str(data / "test"), "--classmap", str(data / "classmap.json")]
        flags += ["--output_df", str(folder / "out.csv"), "--num_workers=0", "--device=cpu"]
        script("predict_2d_cnn").main(flags)

    return {
        "a run's config, from flags to checkpoint": files_passed(root, train, has_config),
        "the rounds' plan, from flags to submission": files_passed(root, rounds, has_config),
        "clips to scores": files_passed(root, predict, has_clips),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--files", action="store_true", help="name the files of each walk")
    args = parser.parse_args()
    root = args.root.resolve()
    chain = longest_chain(root)
    width, widest = widest_function(root)
    rows = [
        (f"longest chain of imports (at most {MAX['imports']})", len(chain), " > ".join(chain)),
        (
            f"config[...] subscripts (at most {MAX['subscripts']})",
            len(found := config_subscripts(root)),
            "; ".join(found[:3]),
        ),
        (f"parameters of the widest function (at most {MAX['parameters']})", width, widest),
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(root))
    with tempfile.TemporaryDirectory() as folder:
        rows += [
            (trip, len(files), " ".join(sorted(files))) for trip, files in walks(root, Path(folder)).items()
        ]
    for what, count, detail in rows:
        print(f"{what:52} {count:4}" + (f"  {detail}" if args.files or count > 6 and "chain" in what else ""))


if __name__ == "__main__":
    main()
