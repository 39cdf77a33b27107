"""Building blocks that the 2D and the 1D network share; `dims` says which is built."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _SingleValueNorm:
    """In training, a batch with one value a channel has no variance: use the running statistics.

    That happens with one clip in the last batch, where torch's own layer raises an error.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class BatchNorm1d(_SingleValueNorm, nn.BatchNorm1d):
    """torch.nn.BatchNorm1d that also trains on a batch of one."""


class BatchNorm2d(_SingleValueNorm, nn.BatchNorm2d):
    """torch.nn.BatchNorm2d that also trains on a batch of one."""


class _PReLUOnCPU(torch.autograd.Function):
    """PReLU whose backward pass is made of vectorised ones: torch's own takes two to three times as long."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        if x.dtype == torch.bfloat16 and x.dim() == 4:  # here torch's forward pass is slow, too
            return torch.addcmul(x.clamp(min=0), x.clamp(max=0), weight.to(x.dtype))
        return torch.ops.aten._prelu_kernel(x, weight.to(x.dtype))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = torch.ops.aten.threshold_backward(gradient, x, 0)  # zero where x is not above zero
        below = gradient - of_x
        of_x.addcmul_(below, weight.to(x.dtype))
        of_weight = below.mul_(x).sum([0, *range(2, x.dim())], keepdim=True, dtype=weight.dtype)
        return of_x, of_weight


class PReLU(nn.PReLU):
    """torch.nn.PReLU with a slope per channel, which trains faster on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        trains_here = x.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if not trains_here:
            return super().forward(x)
        return _PReLUOnCPU.apply(x, self.weight.view(1, -1, *[1] * (x.dim() - 2)))


CONV = {1: nn.Conv1d, 2: nn.Conv2d}
NORM = {1: BatchNorm1d, 2: BatchNorm2d}
POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


def frame_mask(n_frames: Tensor, features: Tensor) -> Tensor:
    """(batch, 1, frames) of 1 within each clip and 0 behind it, on the features' device and in their type.

    n_frames: (batch,) on the CPU. features: (batch, features, frames).
    """
    within = torch.arange(features.shape[-1]) < n_frames[:, None]
    # Converted there: a byte a frame is little enough for the driver not to wait.
    return within[:, None].to(features.device, non_blocking=True).to(features.dtype)


def apply_mask(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zeroes what lies behind each clip's last frame; mask (batch, 1, [1,] frames) of 0 and 1."""
    return x if mask is None else x * mask.to(x.dtype)


def pool_mask(mask: Tensor | None) -> Tensor | None:
    """The mask after MaxPool of 2: a pooled frame is valid where both of its frames were."""
    if mask is None:
        return None
    frames = mask.shape[-1] // 2 * 2
    return mask[..., 1:frames:2]


class ResidualBlock(nn.Module):
    """Conv 1 - BN - PReLU - Conv 3 - BN - PReLU - Conv 1 - BN, plus the input, PReLU."""

    def __init__(self, dims: int, depth: int):
        super().__init__()
        conv, norm = CONV[dims], NORM[dims]
        self.enter = nn.Sequential(conv(depth, depth, 1), norm(depth), PReLU(depth))
        self.middle = nn.Sequential(conv(depth, depth, 3, padding=1), norm(depth), PReLU(depth))
        self.leave = nn.Sequential(conv(depth, depth, 1), norm(depth))
        self.activation = PReLU(depth)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        residual = self.leave(self.middle(apply_mask(self.enter(x), mask)))
        return self.activation(x + residual)


class ConvBlock(nn.Module):
    """BN - Conv 3 - MaxPool 2 - BN - PReLU - residual block.

    forward(x, mask): x (batch, depth_in, [features,] frames). Returns (batch, depth_out,
    [features // 2,] frames // 2) and the mask of the pooled frames. Padding is zeroed before each
    convolution of width 3, so that it is to every clip what lies beyond the end of a clip alone; a
    pooling window that straddles a clip's end gives a frame that the pooled mask leaves out, as
    pooling the clip alone would.
    """

    def __init__(self, dims: int, depth_in: int, depth_out: int):
        super().__init__()
        self.norm_in = NORM[dims](depth_in)
        self.conv = CONV[dims](depth_in, depth_out, 3, padding=1)
        self.pool = POOL[dims](2)
        self.norm = NORM[dims](depth_out)
        self.activation = PReLU(depth_out)
        self.residual = ResidualBlock(dims, depth_out)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.pool(self.conv(apply_mask(self.norm_in(x), mask)))
        mask = pool_mask(mask)
        return self.residual(self.activation(self.norm(x)), mask), mask


class GlobalMaxPool(nn.Module):
    """(batch, channels, [features,] frames) -> (batch, depth): the maximum over what is left.

    depth: of the channels; what is behind it is padding, see networks.padding.
    """

    def __init__(self, depth: int):
        super().__init__()
        self.depth = depth

    def forward(self, x: Tensor, mask: Tensor | None, n_frames: Tensor | None) -> Tensor:
        if mask is not None:
            x = x.masked_fill(mask == 0, torch.finfo(x.dtype).min)
        return x.flatten(2).amax(2)[:, : self.depth]


class RecurrentPool(nn.Module):
    """(batch, channels, [features,] frames) -> (batch, 256): last hidden states of a bi-GRU of 128.

    depth: of the channels; what is behind it is padding, see networks.padding.
    factor: so many frames become one before the GRU, their maximum; what is left over at the end is dropped.
    2D maps are averaged over their features first; LayerNorm runs over the channels of each frame.
    In float32 even under mixed precision: errors would add up over the frames. n_frames (batch,), on
    the CPU, says what mask says: to ask the mask would stall a GPU.
    """

    HIDDEN = 128

    def __init__(self, depth: int, factor: int = 1):
        super().__init__()
        self.depth, self.factor = depth, factor
        self.norm = nn.LayerNorm(depth)
        self.gru = nn.GRU(depth, self.HIDDEN, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor | None, n_frames: Tensor | None) -> Tensor:
        if x.dim() == 4:
            x = x.mean(2)
        x = x[:, : self.depth]
        if self.factor > 1:
            x = nn.functional.max_pool1d(x, self.factor)
            n_frames = None if n_frames is None else n_frames // self.factor
        with torch.autocast(x.device.type, enabled=False):
            x = self.norm(x.transpose(1, 2).to(self.norm.weight.dtype))  # (batch, frames, depth)
            if n_frames is None:
                return self._last_states(x)
            # Sorted here, where n_frames is on the CPU: pack_padded_sequence would wait for the GPU.
            n_frames, order = n_frames.sort(descending=True)
            x = x.index_select(0, order.to(x.device, non_blocking=True))
            packed = nn.utils.rnn.pack_padded_sequence(x, n_frames, batch_first=True)
            return self._last_states(packed).index_select(0, order.argsort().to(x.device, non_blocking=True))

    def _last_states(self, x: Tensor | nn.utils.rnn.PackedSequence) -> Tensor:
        _, hidden = self.gru(x)  # (2 directions, batch, 128)
        return torch.cat([hidden[0], hidden[1]], dim=1)
