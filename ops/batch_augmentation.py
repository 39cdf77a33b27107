"""Batches of ops.batching.collate_draws -> padded, mixed and augmented on the device that trains.

Loader workers only read: a batch travels as its segments, one behind the other, and what was drawn for
them. On the device it gets what Augmentation's call would have given each sample: MixUp, effects,
shuffling, silence, in this order. Nothing here draws, and nothing waits for the device; torch's foreach
functions take the rows' parts, however many, by one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ops.effects.chain import apply_effects
from ops.samples import AugmentationDraw, mix_factors, mixed_length


@torch.no_grad()
def to_device(batch: dict, device: torch.device) -> dict:
    """The batch as a network takes it: signal (batch, samples) and labels on the device.

    What was drawn is applied there; a batch of ops.batching.pad_collate is moved as it is.
    lengths (batch,) int64 stay on the CPU.
    """
    moved = dict(batch)
    for name in ("signal", "segments", "labels", "weights", "bands"):
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
    if any(draw.order is not None for draw in draws):
        signal = _shuffle(signal, lengths.tolist(), draws)
    if any(draw.silenced[1] for draw in draws):
        torch._foreach_zero_(_regions(signal, [draw.silenced for draw in draws]))
    return signal, lengths


def mix_batch(
    segments: Tensor, sizes: Sequence[int], partner_sizes: Sequence[int], draws: Sequence[AugmentationDraw]
) -> tuple[Tensor, Tensor]:
    """Pads and mixes each clip and its partner, see ops.transforms.mix."""
    modes = [draw.mixup for draw in draws]
    lengths = list(map(mixed_length, sizes, partner_sizes, modes))
    signal = segments.new_zeros(len(draws), max(lengths, default=0))
    if draws:
        clips = segments.split([n for pair in zip(sizes, partner_sizes, strict=True) for n in pair])
        pairs = [
            pair if mode == "concat" else sorted(pair, key=len, reverse=True)
            for mode, *pair in zip(modes, clips[::2], clips[1::2], strict=True)
        ]
        longer, shorter = zip(*pairs, strict=True)
        factors = [
            mix_factors(draw.weight, draw.mixup, n == length) if n else (1.0, 1.0, 0.0)
            for draw, n, length in zip(draws, map(len, shorter), lengths, strict=True)
        ]
        of_longer, of_region, of_shorter = map(list, zip(*factors, strict=True))
        region = _regions(signal, [(0, len(clip)) for clip in longer])
        torch._foreach_copy_(region, longer)
        torch._foreach_mul_(region, of_longer)
        region = _regions(signal, [(draw.offset, len(x)) for draw, x in zip(draws, shorter, strict=True)])
        if 0.0 in of_region:
            torch._foreach_mul_(region, of_region)
        torch._foreach_add_(region, torch._foreach_mul(shorter, of_shorter))
    return signal, torch.tensor(lengths, dtype=torch.long)


def _regions(signal: Tensor, places: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
    """Of each row the samples from a start on, so many: views, to change in place."""
    width = signal.shape[1]
    sizes = [n for start, count in places for n in (start, count, width - start - count)]
    return signal.view(-1).split(sizes)[1::3]


def _shuffle(signal: Tensor, lengths: Sequence[int], draws: Sequence[AugmentationDraw]) -> Tensor:
    """Chunks of each row in their drawn order, see ops.transforms.shuffle_chunks."""
    sizes, numbers = [], []
    for draw, length in zip(draws, lengths, strict=True):
        order = [0] if draw.order is None else draw.order.tolist()
        first, starts = len(sizes), [number * draw.chunk_samples for number in range(len(order))]
        sizes += np.diff([*starts, length, signal.shape[1]]).tolist()  # the padding stays the last
        numbers += [first + number for number in [*order, len(order)]]
    chunks = signal.view(-1).split(sizes)
    return torch.cat([chunks[number] for number in numbers]).view_as(signal)


def _apply_some(
    signal: Tensor, lengths: Tensor, rows: list[int], draws: Sequence[AugmentationDraw]
) -> tuple[Tensor, Tensor]:
    """The effects of the given rows."""
    effects = [draws[row].effects for row in rows]
    if len(rows) == len(draws):
        return apply_effects(signal, lengths, effects)
    on_cpu = torch.tensor(rows)
    which = on_cpu.to(signal.device, non_blocking=True)
    changed, changed_lengths = apply_effects(signal.index_select(0, which), lengths[on_cpu], effects)
    lengths = lengths.index_copy(0, on_cpu, changed_lengths)
    width = int(lengths.max())
    signal, changed = (nn.functional.pad(x, (0, width - x.shape[1])) for x in (signal, changed))  # or cuts
    return signal.index_copy(0, which, changed), lengths
