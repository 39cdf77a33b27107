"""Training passes of a network as CUDA graphs: one call each way in place of hundreds.

A small network's kernels are shorter than the time that Python takes to ask for them. A CUDA graph is
recorded once for a shape of batches and replayed from then on.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from networks.blocks import frame_mask
from ops.errors import DataError
from ops.features import LOG_SILENCE

if TYPE_CHECKING:
    from networks.classifiers import Classifier

FRAMES = 32  # batches are padded with silence to a multiple of these, so that few shapes come
SEEN_BEFORE = 2  # batches of a shape before it is worth a graph
MAX_GRAPHS = 8
WARM_UPS = 3  # passes before a recording, in which libraries choose their kernels


class GraphedTraining:
    """A network's `classify` whose training passes are CUDA graphs; evaluation is as before.

    Batch norm counts the frames that pad a batch, as it counts those behind each clip, so that a run with
    graphs is another run than one without. With `rnn`, which needs lengths on the CPU, nothing is recorded;
    nor after a recording that failed, which `failure` then tells of. Gradients are overwritten by the next
    replay: they may not be accumulated over batches.

    Args:
        model: on a GPU.
        autocast_type: of mixed precision; None: float32.
    """

    def __init__(self, model: Classifier, autocast_type: torch.dtype | None = None):
        self.model, self.autocast_type = model, autocast_type
        self.classify, self.failure = model.classify, ""
        self._graphs: dict[tuple[int, ...], _Recording] = {}
        self._seen: Counter[tuple[int, ...]] = Counter()
        self._pool: Any = None  # of memory, the same for all graphs: one is replayed at a time

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
                if self.model.config.output_dropout:  # its random numbers may be left in the recording
                    raise DataError(
                        f"--graphs: no CUDA graph could be recorded ({self.failure}); leave the flag out"
                    ) from error
                return self.classify(features, n_frames)
        return self._graphs[shape](features, frame_mask(n_frames, features))

    @property
    def _can_record(self) -> bool:
        return self.model.config.aggregation_type == "max"

    def _record(self, features: Tensor, mask: Tensor) -> _Recording:
        """Records a shape; statistics and random draws stay those of before."""
        buffers, device = list(self.model.buffers()), features.device
        before, draws = [buffer.clone() for buffer in buffers], torch.cuda.get_rng_state(device)
        # A recording that fails would leave its stream the current one.
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
            if self._pool is None:
                gc.collect()  # the graphs of an earlier fold, and their memory
                self._pool = torch.cuda.graph_pool_handle()
            try:
                with torch.autocast(
                    "cuda", self.autocast_type, enabled=self.autocast_type is not None, cache_enabled=False
                ):
                    return _Recording(self.model, features.clone(), mask.clone(), self._pool)
            finally:  # the recording has trained on the batch several times
                for buffer, value in zip(buffers, before, strict=True):
                    buffer.copy_(value)
                torch.cuda.set_rng_state(draws, device)


class _Recording:
    """Both passes of a shape of batches; called it replays them.

    As torch.cuda.make_graphed_callables, whose recordings fail where another thread, as that of a loader's
    pinned memory, asks for memory meanwhile.
    """

    def __init__(self, model: Classifier, features: Tensor, mask: Tensor, pool: Any):
        self.features, self.mask = features, mask
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                logits = model.classify_masked(features, mask, None)
                torch.autograd.grad(logits, self.weights, torch.zeros_like(logits))
        torch.cuda.current_stream().wait_stream(stream)
        recording = {"pool": pool, "stream": stream, "capture_error_mode": "thread_local"}
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.forward, **recording):
            self.logits = model.classify_masked(features, mask, None)
        self.gradient = torch.zeros_like(self.logits)
        with torch.cuda.graph(self.backward, **recording):
            self.gradients = torch.autograd.grad(self.logits, self.weights, self.gradient)

    def __call__(self, features: Tensor, mask: Tensor) -> Tensor:
        self.features.copy_(features)
        self.mask.copy_(mask)
        return _Replay.apply(self, *self.weights)


class _Replay(torch.autograd.Function):
    """The passes of a recording as one node; the logits are a copy, since the next replay overwrites them."""

    @staticmethod
    def forward(ctx, recording: _Recording, *weights: Tensor) -> Tensor:
        ctx.recording = recording
        recording.forward.replay()
        return recording.logits.detach().clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ctx.recording.gradient.copy_(gradient)
        ctx.recording.backward.replay()
        return None, *(found.detach() for found in ctx.recording.gradients)


def padded_to(features: Tensor, n_frames: Tensor | None, multiple: int) -> tuple[Tensor, Tensor]:
    """Features (batch, features, frames) with silence up to a multiple of frames, and each clip's frames."""
    if n_frames is None:
        n_frames = torch.full((len(features),), features.shape[-1])
    missing = -features.shape[-1] % multiple
    return nn.functional.pad(features, (0, missing), value=LOG_SILENCE), n_frames
