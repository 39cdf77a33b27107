"""Training passes of a network as CUDA graphs: one call each way in place of hundreds.

A small network's kernels are shorter than the time that Python takes to ask for them. A CUDA graph is
recorded once for a shape of batches and replayed from then on.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from networks.blocks import frame_mask
from ops.features import LOG_SILENCE

if TYPE_CHECKING:
    from networks.classifiers import Classifier

FRAMES = 32  # batches are padded with silence to a multiple of these, so that few shapes come
SEEN_BEFORE = 2  # batches of a shape that go without a graph: the last batch of an epoch is not worth one
MAX_GRAPHS = 8


class GraphedTraining:
    """A network's `classify` whose training passes are CUDA graphs; evaluation is as before.

    Batch norm counts the frames that pad a batch, as it counts those behind each clip, so that a run with
    graphs is another run than one without. With `rnn`, which needs lengths on the CPU, nothing is recorded;
    nor after a recording that failed, which `failure` then tells of.

    Args:
        model: on a GPU.
        autocast_type: of mixed precision; None: float32.
    """

    def __init__(self, model: Classifier, autocast_type: torch.dtype | None = None):
        self.model, self.autocast_type = model, autocast_type
        self.classify, self.failure = model.classify, ""
        self._graphs: dict[tuple[int, ...], nn.Module] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._pool = None  # of memory, the same for all graphs: one is replayed at a time

    def __call__(self, features: Tensor, n_frames: Tensor | None) -> Tensor:
        if not (self.model.training and torch.is_grad_enabled()) or not self._can_record:
            return self.classify(features, n_frames)
        features, n_frames = padded_to(features, n_frames, FRAMES)
        shape = tuple(features.shape)
        self._seen[shape] += 1
        if shape not in self._graphs:
            if self.failure or self._seen[shape] <= SEEN_BEFORE or len(self._graphs) >= MAX_GRAPHS:
                return self.classify(features, n_frames)
            try:
                self._graphs[shape] = self._record(features, frame_mask(n_frames, features))
            except RuntimeError as error:  # torch's for all that CUDA refuses
                self.failure = str(error).splitlines()[0]
                return self.classify(features, n_frames)
        # The graph's own output is overwritten by its next replay.
        return self._graphs[shape](features, frame_mask(n_frames, features)).clone()

    @property
    def _can_record(self) -> bool:
        return self.model.config.aggregation_type == "max"

    def _record(self, features: Tensor, mask: Tensor) -> nn.Module:
        """A module that replays; weights' gradients, statistics and random draws are those of before."""
        buffers = list(self.model.buffers())
        before, draws = [buffer.clone() for buffer in buffers], torch.cuda.get_rng_state(features.device)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        try:
            with torch.autocast(
                "cuda", self.autocast_type, enabled=self.autocast_type is not None, cache_enabled=False
            ):
                return torch.cuda.make_graphed_callables(
                    _Pass(self.model).train(), (features.clone(), mask.clone()), pool=self._pool
                )
        finally:  # the recording has trained on the batch several times
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
            torch.cuda.set_rng_state(draws, features.device)


class _Pass(nn.Module):
    """What a graph holds; the network is its part, so that it knows the weights."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        return self.model.classify_masked(features, mask, None)


def padded_to(features: Tensor, n_frames: Tensor | None, multiple: int) -> tuple[Tensor, Tensor]:
    """Features (batch, features, frames) with silence up to a multiple of frames, and each clip's frames."""
    if n_frames is None:
        n_frames = torch.full((len(features),), features.shape[-1])
    missing = -features.shape[-1] % multiple
    return nn.functional.pad(features, (0, missing), value=LOG_SILENCE), n_frames
