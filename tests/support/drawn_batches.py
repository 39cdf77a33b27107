"""Samples of noise to augment, and the rows of their batches."""

import numpy as np
import torch

from ops.transforms import Augmentation, Sample

CPU = torch.device("cpu")
EVERYTHING = Augmentation(p_mixup=0.6, p_aug=0.6, effects="torch", p_shuffle=0.5, p_silence=0.5)


def sample(n_samples, seed=0, label=0, **more):
    audio = np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)
    return Sample(audio, np.eye(4, dtype=np.float32)[label], f"{seed}.wav", **more)


def rows_of(batch):
    return [signal[:length] for signal, length in zip(batch["signal"], batch["lengths"], strict=True)]
