"""What pretraining without labels tries to do: the config's entry `pretraining`, and flags of pretrain.py."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.system.options import option

OBJECTIVES = {
    "contrastive": "tell which two segments are of one clip",
    "cpc": "predict the next frames from those before",
}


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """How a network is pretrained, and on which clips beside those of the training tables."""

    objective: str = option(
        "; ".join(f"{name}: {what}" for name, what in OBJECTIVES.items()), choices=list(OBJECTIVES)
    )
    steps: int = option("cpc: frames of the last block that are predicted", 3, low=1, high=100)
    temperature: float = option("what cosines are divided by: lower is stricter", 0.2, low=0.001, high=100)
    test_data_dir: str | None = option("folder of the test clips", None, group="data")
    sample_submission: str | None = option(
        "test table, any CSV with fname, whose clips are learned from, too", None, group="data"
    )
