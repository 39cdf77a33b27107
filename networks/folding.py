"""BatchNorm folded into the convolution before it, for prediction."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from networks.classifiers import Classifier


def fold_batch_norms(model: Classifier) -> Classifier:
    """Folds BatchNorms of an evaluating network into convolutions, in place, where that is exact.

    Those of the residual blocks follow their convolution at once. A block's own follows its pooling: a
    maximum commutes with an increasing map alone, so it is folded where all of its scales are above
    zero. The first one of a block stays: zero padding lies between it and its convolution.
    """
    if model.training:
        raise ValueError("expected a network in evaluation: its BatchNorms must use fixed statistics")
    for block in model.blocks:
        for layers in (block.residual.enter, block.residual.middle, block.residual.leave):
            layers[0], layers[1] = _folded(layers[0], layers[1]), nn.Identity()
        if bool((block.norm.weight > 0).all()):
            block.conv, block.norm = _folded(block.conv, block.norm), nn.Identity()
    return model


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    folded = fuse_conv_bn_eval(conv, norm)
    if folded.weight.dim() == 4 and conv.weight.is_contiguous(memory_format=torch.channels_last):
        folded = folded.to(memory_format=torch.channels_last)
    return folded
