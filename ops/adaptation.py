"""BatchNorm statistics of the very clips to predict, in place of those of training.

Recordings made elsewhere (another room, microphone or speaker) shift the maps inside a network, and
statistics taken in training then normalise them wrongly. The labels of the clips are not needed.
Adaptive Batch Normalization, Li et al. 2016, arXiv:1603.04779; measured under many such shifts by
Schneider et al. 2020, arXiv:2006.16971, and Nado et al. 2020, arXiv:2006.10963.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ops import distributed
from ops.datasets import Clip, TrainingDataset, make_loader
from ops.errors import DataError
from ops.replicas import share_weights
from ops.transforms import Augmentation

LEAST_CLIPS = 8
MOST_CLIPS = 2048  # by then the statistics have settled


def adapt_batch_norms(
    model: nn.Module, clips: Sequence[Clip], config: dict[str, Any], num_workers: int, device: torch.device
) -> None:
    """Replaces the running statistics of an evaluating network by those of the clips, in place.

    The clips come as training would show them without augmentation, in batches of its batch_size and
    segments of at most its max_audio_length, since its own statistics are those of such batches: all of
    them, or MOST_CLIPS drawn from them, whatever the order of the table. Unreadable clips are left out.
    Raises DataError where fewer than LEAST_CLIPS are left.

    Args:
        model: (signal, lengths) -> logits, on its device.
        config: of the experiment that trained it.
    """
    # Every process of a run reads the same clips: on GPUs their batch norms wait for each other.
    n_own = _take_statistics(model, clips, config, num_workers, device)
    share_weights(model)  # the same to the last bit
    require_enough(distributed.from_main(lambda: n_own), "clips that can be read")


def require_enough(n_clips: int, what: str) -> None:
    """Raises DataError where so many clips (`what` they are) are too few to take statistics of."""
    if n_clips < LEAST_CLIPS:
        raise DataError(
            f"--adapt_batch_norm takes statistics of the clips to predict: expected at least {LEAST_CLIPS} "
            f"{what}, found {n_clips}; leave the flag out"
        )


def _take_statistics(
    model: nn.Module, clips: Sequence[Clip], config: dict[str, Any], num_workers: int, device: torch.device
) -> int:
    """Returns the number of clips read."""
    data, train = config["data"], config["train"]
    clips = sorted(clips, key=lambda clip: (clip.fname, str(clip.path)))
    dataset = TrainingDataset(clips, Augmentation(), 0, data["max_audio_length"], train["seed"], fold=0)
    keys = [(0, int(index)) for index in np.random.default_rng(train["seed"]).permutation(len(clips))]
    size = max(1, min(train["batch_size"], len(keys)))
    # Whole batches: a smaller one would count as much as the others.
    n_used = min(len(keys), max(MOST_CLIPS, size)) // size * size
    batches = [keys[start : start + size] for start in range(0, n_used, size)]
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.num_batches_tracked.zero_()
        norm.momentum = None  # the mean over batches; the first one replaces what training left
        norm.train()
    n_read = 0
    with torch.no_grad():
        for batch in make_loader(dataset, batches, num_workers, device.type == "cuda"):
            n_read += len(batch["index"])
            if len(batch["index"]):
                model(batch["signal"].to(device, non_blocking=True), batch["lengths"])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return n_read
