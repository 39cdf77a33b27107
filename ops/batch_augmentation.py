"""Planned samples -> batches that are padded, mixed and changed on the device that trains.

Loader workers only read: a batch travels as its segments, one behind the other, and what was drawn for
them. On the device it gets what Augmentation's call would have given each sample: MixUp, effects,
shuffling, silence, in this order. Nothing here draws, and nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ops.batching import describe
from ops.effects.chain import apply_effects
from ops.errors import DataError
from ops.transforms import Plan, Sample, chunk_samples


def collate_plans(samples: list[tuple[int, Sample | DataError]]) -> dict:
    """(index, sample with a plan) pairs -> one batch for `to_device`.

    Returns a dict: segments (samples,) float32, each clip followed by its partner where it has one;
    sizes, each clip's own samples; plans, without the partners' audio, partner_sizes in its place (0:
    none); and labels, weights, index, fnames and errors as ops.batching.pad_collate gives them.
    """
    described, good = describe(samples)
    pairs = [(sample.audio, sample.plan.partner) for sample in good]
    audio = [segment for pair in pairs for segment in pair if segment is not None]
    return {
        "segments": torch.from_numpy(np.concatenate(audio)) if audio else torch.zeros(0),
        "sizes": [len(own) for own, _ in pairs],
        "partner_sizes": [0 if partner is None else len(partner) for _, partner in pairs],
        "plans": [sample.plan.without_audio() for sample in good],
        **described,
    }


@torch.no_grad()
def to_device(batch: dict, device: torch.device) -> dict:
    """The batch as a network takes it: signal (batch, samples) and labels on the device.

    What was planned is carried out there; a batch of ops.batching.pad_collate is moved as it is.
    lengths (batch,) int64 stay on the CPU.
    """
    moved = dict(batch)
    for name in ("signal", "segments", "labels", "weights"):
        if isinstance(batch.get(name), Tensor):
            moved[name] = batch[name].to(device, non_blocking=True)
    if "segments" in moved:
        segments, sizes = moved.pop("segments"), moved.pop("sizes")
        moved["signal"], moved["lengths"] = carry_out(
            segments, sizes, moved.pop("partner_sizes"), moved.pop("plans")
        )
    return moved


def carry_out(
    segments: Tensor, sizes: Sequence[int], partner_sizes: Sequence[int], plans: Sequence[Plan]
) -> tuple[Tensor, Tensor]:
    """The plans of a whole batch, see collate_plans; returns (batch, samples) and the lengths."""
    signal, lengths = mix_batch(segments, sizes, partner_sizes, plans)
    rows = [row for row, plan in enumerate(plans) if plan.effects is not None]
    if rows:
        signal, lengths = _change(signal, lengths, rows, plans)
    for row, (plan, n_samples) in enumerate(zip(plans, lengths.tolist(), strict=True)):
        if plan.order is not None:
            chunks = signal[row, :n_samples].split(chunk_samples())
            signal[row, :n_samples] = torch.cat([chunks[number] for number in plan.order])
        start, n_silent = plan.silenced
        if n_silent:
            signal[row, start : start + n_silent] = 0
    return signal, lengths


def mix_batch(
    segments: Tensor, sizes: Sequence[int], partner_sizes: Sequence[int], plans: Sequence[Plan]
) -> tuple[Tensor, Tensor]:
    """Pads and mixes: weight * longer + (1 - weight) * shorter at its offset, see ops.transforms.mix."""
    lengths = [max(pair) for pair in zip(sizes, partner_sizes, strict=True)]
    signal = segments.new_zeros(len(plans), max(lengths, default=0))
    start = 0
    for row, (size, partner_size, plan) in enumerate(zip(sizes, partner_sizes, plans, strict=True)):
        own, partner = segments[start : start + size + partner_size].split([size, partner_size])
        start += size + partner_size
        if not partner_size:
            signal[row, :size] = own
            continue
        longer, shorter = (own, partner) if size >= partner_size else (partner, own)
        signal[row, : len(longer)] = plan.weight * longer
        signal[row, plan.offset : plan.offset + len(shorter)] += (1 - plan.weight) * shorter
    return signal, torch.tensor(lengths, dtype=torch.long)


def _change(signal: Tensor, lengths: Tensor, rows: list[int], plans: Sequence[Plan]) -> tuple[Tensor, Tensor]:
    """The effects of the given rows."""
    which = torch.tensor(rows)
    chosen = signal
    if len(rows) < len(plans):
        chosen = signal.index_select(0, which.to(signal.device, non_blocking=True))
    changed, changed_lengths = apply_effects(chosen, lengths[which], [plans[row].effects for row in rows])
    lengths = lengths.index_copy(0, which, changed_lengths)
    if len(rows) == len(plans):
        return changed, lengths
    width = int(lengths.max())
    signal, changed = (nn.functional.pad(x, (0, width - x.shape[1])) for x in (signal, changed))  # or cuts
    return signal.index_copy(0, which.to(signal.device, non_blocking=True), changed), lengths
