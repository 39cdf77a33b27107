"""Channels padded to a multiple of 8: the same function on the kernels that tensor cores have.

Tensor cores take bfloat16 in rows of 8 values and TF32 in rows of 4; for other channel counts (growth 1.5
from 100 gives 150, 225, 337, 506) cuDNN falls back to slower kernels.

All that is added is zero and stays zero: a padded channel has a convolution of zeros before it and a batch
norm of scale and shift 0 behind it; so its gradients, and those of every weight that reads it, are products
with zero, and an optimizer, weight decay and moments included, leaves zeros alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ops.padding import resized

if TYPE_CHECKING:
    from networks.classifiers import Classifier

MULTIPLE = 8


def pad_channels(model: Classifier, multiple: int = MULTIPLE) -> Classifier:
    """Pads the channels of all blocks, in place; logits, gradients and state_dict stay what they were.

    The parameters are the same objects, larger; state_dict() cuts them, and load_state_dict() pads.
    """
    shapes: dict[str, torch.Size] = {}  # without padding, by name in the state_dict
    for prefix, module in model.blocks.named_modules(prefix="blocks"):
        if not isinstance(module, nn.Conv1d | nn.Conv2d | _BatchNorm | nn.PReLU):
            continue
        channel_axes = 2 if isinstance(module, nn.Conv1d | nn.Conv2d) else 1
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.dim():  # not num_batches_tracked
                shapes[f"{prefix}.{name}"] = tensor.shape
                axes = min(channel_axes, tensor.dim())
                padded = [-(-n // multiple) * multiple for n in tensor.shape[:axes]]
                tensor.data = resized(tensor.data, (*padded, *tensor.shape[axes:]))
        _recount(module)
    if model.config.kind == "2d":
        model.blocks.to(memory_format=torch.channels_last)

    def cut(_module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
        for name, shape in shapes.items():
            state[prefix + name] = resized(state[prefix + name], shape)

    def pad(_module: nn.Module, state: dict[str, Any], prefix: str, *_others: Any) -> None:
        here = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for name, shape in shapes.items():
            given = state.get(prefix + name)
            if given is not None and given.shape == shape:  # any other is load_state_dict's to refuse
                state[prefix + name] = resized(given, here[name].shape)

    model.register_state_dict_post_hook(cut)
    model.register_load_state_dict_pre_hook(pad)
    return model


def _recount(module: nn.Module) -> None:
    """What a layer says of its channels."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        module.out_channels, module.in_channels = module.weight.shape[:2]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
    else:
        module.num_features = len(module.weight)
