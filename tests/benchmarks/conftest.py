"""A layout of the demo's synthetic clips, and flags of tiny benchmarks on it."""

import claims
import noisy
import pytest
import real_runs


@pytest.fixture
def layout_script(toy, tmp_path):
    """Stands in for the script that lays real recordings out: copies the toy data set."""
    script = tmp_path / "make_layout.py"
    script.write_text(f"import shutil, sys\nshutil.copytree({str(toy.folder)!r}, sys.argv[1])\n")
    return script


TINY = {"features": "mel_512_512_16", "num_conv_blocks": 2, "conv_base_depth": 4, "growth_rate": 1.5,
        "start_deep_supervision_on": 0, "batch_size": 8}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """Both benchmarks train a tiny network."""
    original = real_runs.training_flags
    for module in (noisy, claims):
        monkeypatch.setattr(module, "training_flags", lambda *given: {**original(*given), **TINY})


@pytest.fixture
def benchmark_flags(layout_script, tmp_path) -> list[str]:
    """A rotation, a seed, few epochs, into tmp_path/work."""
    return [f"--data_script={layout_script}", f"--work_dir={tmp_path / 'work'}", "--rotations", "1",
            "--seeds", "0", "--epochs=1", "--curated_epochs=2"]  # fmt: skip
