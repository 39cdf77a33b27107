"""Batches of ops.batching.collate_draws -> padded, mixed and augmented on the device that trains.

Loader workers only read: a batch travels as its segments, one behind the other, and what was drawn for
them. On the device it gets what Augmentation's call would have given each sample: MixUp, effects,
shuffling, silence, in this order. Nothing here draws, and nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ops.effects.chain import apply_effects
from ops.samples import AugmentationDraw


@torch.no_grad()
def to_device(batch: dict, device: torch.device) -> dict:
    """The batch as a network takes it: signal (batch, samples) and labels on the device.

    What was drawn is applied there; a batch of ops.batching.pad_collate is moved as it is.
    lengths (batch,) int64 stay on the CPU.
    """
    moved = dict(batch)
    for name in ("signal", "segments", "labels", "weights"):
        if isinstance(batch.get(name), Tensor):
            moved[name] = batch[name].to(device, non_blocking=True)
    if "segments" in moved:
        segments, sizes = moved.pop("segments"), moved.pop("sizes")
        moved["signal"], moved["lengths"] = carry_out(
            segments, sizes, moved.pop("partner_sizes"), moved.pop("draws")
        )
    return moved


def carry_out(
    segments: Tensor, sizes: Sequence[int], partner_sizes: Sequence[int], draws: Sequence[AugmentationDraw]
) -> tuple[Tensor, Tensor]:
    """Applies the draws of a whole batch, see ops.batching.collate_draws.

    Returns:
        (batch, samples) on the device of the segments, zeros behind each clip, and the lengths on the CPU.
    """
    signal, lengths = mix_batch(segments, sizes, partner_sizes, draws)
    rows = [row for row, draw in enumerate(draws) if draw.effects is not None]
    if rows:
        signal, lengths = _apply_some(signal, lengths, rows, draws)
    for row, (draw, n_samples) in enumerate(zip(draws, lengths.tolist(), strict=True)):
        if draw.order is not None:
            chunks = signal[row, :n_samples].split(draw.chunk_samples)
            signal[row, :n_samples] = torch.cat([chunks[number] for number in draw.order])
        start, n_silent = draw.silenced
        if n_silent:
            signal[row, start : start + n_silent] = 0
    return signal, lengths


def mix_batch(
    segments: Tensor, sizes: Sequence[int], partner_sizes: Sequence[int], draws: Sequence[AugmentationDraw]
) -> tuple[Tensor, Tensor]:
    """Pads and mixes: weight * longer + (1 - weight) * shorter at its offset, see ops.transforms.mix."""
    lengths = [max(pair) for pair in zip(sizes, partner_sizes, strict=True)]
    signal = segments.new_zeros(len(draws), max(lengths, default=0))
    start = 0
    for row, (size, partner_size, draw) in enumerate(zip(sizes, partner_sizes, draws, strict=True)):
        own, partner = segments[start : start + size + partner_size].split([size, partner_size])
        start += size + partner_size
        if not partner_size:
            signal[row, :size] = own
            continue
        longer, shorter = (own, partner) if size >= partner_size else (partner, own)
        signal[row, : len(longer)] = draw.weight * longer
        signal[row, draw.offset : draw.offset + len(shorter)] += (1 - draw.weight) * shorter
    return signal, torch.tensor(lengths, dtype=torch.long)


def _apply_some(
    signal: Tensor, lengths: Tensor, rows: list[int], draws: Sequence[AugmentationDraw]
) -> tuple[Tensor, Tensor]:
    """The effects of the given rows."""
    which = torch.tensor(rows)
    chosen = signal
    if len(rows) < len(draws):
        chosen = signal.index_select(0, which.to(signal.device, non_blocking=True))
    changed, changed_lengths = apply_effects(chosen, lengths[which], [draws[row].effects for row in rows])
    lengths = lengths.index_copy(0, which, changed_lengths)
    if len(rows) == len(draws):
        return changed, lengths
    width = int(lengths.max())
    signal, changed = (nn.functional.pad(x, (0, width - x.shape[1])) for x in (signal, changed))  # or cuts
    return signal.index_copy(0, which.to(signal.device, non_blocking=True), changed), lengths
