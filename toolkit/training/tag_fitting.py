"""What makes tags of an experiment's scores, fitted when all of its folds are finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ops.activity import frame_levels
from ops.backgrounds import draw_background, lay_over_background
from ops.batching import batches_by_length
from ops.calibration import fit_calibration
from ops.errors import DataError
from ops.familiarity import Familiarity, fit_familiarity
from ops.sampling import SAMPLE_RATE
from ops.thresholds import f1_scores, f1_thresholds
from toolkit.clips.loading import Clip, ReadAudio
from toolkit.clips.sound_files import read_audio
from toolkit.runs.checkpoints import load_weights
from toolkit.runs.experiment import Experiment
from toolkit.runs.tag_rules import TagRules, read_rules
from toolkit.system.files import write_json
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime, unaccelerated
from toolkit.training.batch_norm import adapt_batch_norms
from toolkit.training.evaluation import Evaluation, Evaluator, portion_of_batches

MAX_CLIPS = 256  # of each kind and fold that the tests of familiarity are fitted on
MIN_BACKGROUNDS = 32
LEVEL_CLIPS = 64
WINDOW_LIMITS = (1.0, 30.0)  # s
TIMELINE_LIMITS = (0.5, 5.0)  # s, of half a usual clip: onsets are a third as far off as with whole ones
LOUDEST_SILENCE_DB, BELOW_CLIPS_DB = -60.0, 20.0  # of full scale; under the quietest clips' loudest frames


@dataclass(frozen=True)
class FittingTools:
    """build: the config's section network -> a network. stop: looked at before each batch."""

    build: Callable[[dict[str, Any]], nn.Module]
    runtime: Runtime
    stop: StopRequest | None = None


@dataclass(frozen=True)
class Background(Clip):
    """A drawn sound without an event; its fname seeds it."""

    def read(self, read_audio: ReadAudio = read_audio) -> np.ndarray:
        rng = np.random.default_rng(int(self.fname))
        return draw_background(rng, self.n_samples)


@dataclass(frozen=True)
class NoisyClip(Clip):
    """A clip laid over a drawn background; `unit` seeds it."""

    def read(self, read_audio: ReadAudio = read_audio) -> np.ndarray:
        rng = np.random.default_rng(int(self.unit))
        return lay_over_background(rng, super().read(read_audio))


def fit_after_training(
    experiment: Experiment,
    scores: np.ndarray,
    truth: np.ndarray,
    clips: Mapping[int, Sequence[Clip]],
    tools: FittingTools,
) -> None:
    """Writes tags.json unless it is there; a line in the log where none can be fitted. Args of fit_rules."""
    if read_rules(experiment.path("tags.json"), experiment.classes) is not None:
        return
    try:
        rules = fit_rules(experiment, scores, truth, clips, tools)
    except DataError as error:
        experiment.log(f"no tags.json, predictions have scores but no tags: {error}")
        return
    keep(experiment, rules)
    tagged = rules.calibration.apply(scores) >= rules.thresholds
    micro, macro = f1_scores(tagged, truth)
    experiment.log(
        f"tags fitted on {len(scores)} out-of-fold clips: F1 {micro:.3f}, mean of classes {macro:.3f}"
    )


def keep(experiment: Experiment, rules: TagRules) -> None:
    """Writes tags.json."""
    with experiment.locked():
        write_json(experiment.path("tags.json"), rules.to_json())


def fit_rules(
    experiment: Experiment,
    scores: np.ndarray,
    truth: np.ndarray,
    clips: Mapping[int, Sequence[Clip]],
    tools: FittingTools,
) -> TagRules:
    """Fits thresholds and calibration on out-of-fold scores, and what is familiar on the clips' audio.

    The result is a function of the experiment and its clips: fitted again, it is the same. Raises DataError
    where the scores tell nothing of the labels.

    Args:
        scores, truth: (clips, classes) of the clips that folds validated on; truth 0, 1 or NaN.
        clips: fold -> the clips that it validated on; none: what is familiar is not fitted.
    """
    try:
        calibration = fit_calibration(scores, truth)
    except DataError as error:
        raise DataError(f"{experiment.directory}: {error}") from error
    thresholds = f1_thresholds(calibration.apply(scores), truth)
    everything = [clip for of_fold in clips.values() for clip in of_fold]
    seconds = np.array([clip.n_samples for clip in everything] or [10 * SAMPLE_RATE]) / SAMPLE_RATE
    window = float(np.clip(np.quantile(seconds, 0.9), *WINDOW_LIMITS).round(3))
    timeline = float(np.clip(np.median(seconds) / 2, *TIMELINE_LIMITS).round(3))
    heard = {fold: [_beginning(clip, window) for clip in of_fold] for fold, of_fold in clips.items()}
    # Of embeddings it is not: those of drawn sounds would take the backbone.
    tested = heard if experiment.config.embedding is None else {}
    familiarity = {fold: _fit_fold(experiment, fold, heard, tools) for fold in tested}
    silence = _silence_db(_spread(everything, LEVEL_CLIPS))
    rules = TagRules(experiment.classes, calibration, thresholds, silence, window, timeline, familiarity)
    return TagRules.from_json(rules.to_json())  # as whoever reads the file has them


def _fit_fold(
    experiment: Experiment,
    fold: int,
    clips: Mapping[int, Sequence[Clip]],
    tools: FittingTools,
) -> Familiarity:
    """The tests of a fold's network; it trained on the clips of the other folds."""
    config, runtime, stop = experiment.config, tools.runtime, tools.stop
    model = tools.build(config.network)
    load_weights(model, experiment.checkpoint(fold, "best_model"), config)
    model.to(runtime.device).eval()
    if config.train.adapt_batch_norm:
        adapt_batch_norms(model, clips[fold], config, runtime, stop)
    trained = _spread([clip for other in clips if other != fold for clip in clips[other]], MAX_CLIPS)
    unseen = _spread(clips[fold], MAX_CLIPS)
    trained = trained or unseen  # a single fold
    noisy = [NoisyClip(**{**vars(clip), "unit": str(number)}) for number, clip in enumerate(unseen)]
    backgrounds = _backgrounds(unseen)
    parts = [trained, unseen, noisy, backgrounds]
    everything = [clip for part in parts for clip in part]
    _, (vectors,) = score_with_vectors([model], everything, config.n_classes, runtime, stop)
    ends = np.cumsum([len(part) for part in parts])
    return fit_familiarity(*np.split(vectors, ends[:-1]))


def _backgrounds(clips: Sequence[Clip]) -> list[Background]:
    """As long as the clips or half of that, four a clip: the last is silence to the last bit."""
    count = int(np.clip(4 * len(clips), MIN_BACKGROUNDS, MAX_CLIPS))
    lengths = [clips[number % len(clips)].n_samples // (1 + number % 2) for number in range(count)]
    return [Background(str(number), Path(), max(1, length)) for number, length in enumerate(lengths)]


def _spread(clips: Sequence[Clip], max_clips: int) -> list[Clip]:
    """At most so many, evenly spread."""
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(max_clips, len(clips))).round().astype(int))
    return [clips[index] for index in chosen]


def _beginning(clip: Clip, seconds: float) -> Clip:
    n_samples = round(seconds * SAMPLE_RATE)
    return clip if clip.n_samples <= n_samples else replace(clip, start=0, n_samples=n_samples)


def _silence_db(clips: Sequence[Clip]) -> float:
    """Well below what is loudest in nearly all of the clips, and never above LOUDEST_SILENCE_DB."""
    loudest = [frame_levels(clip.read()).max() for clip in clips]
    quiet = float(np.quantile(loudest, 0.05)) - BELOW_CLIPS_DB if loudest else LOUDEST_SILENCE_DB
    return round(min(LOUDEST_SILENCE_DB, quiet), 1)


def score_with_vectors(
    models: Sequence[nn.Module],
    clips: Sequence[Clip],
    n_classes: int,
    runtime: Runtime,
    stop: StopRequest | None = None,
    batch_size: int = 32,
) -> tuple[Evaluation, list[np.ndarray]]:
    """The scores of clips and, of each model, (readable clips, dimensions) that its head reads.

    In float32 whatever the runtime says of mixed precision or compilation.
    """
    batches = batches_by_length([clip.n_samples for clip in clips], batch_size)
    portion = portion_of_batches(clips, batches, runtime)
    with ExitStack() as stack:
        read = [stack.enter_context(_what_the_head_reads(model)) for model in models]
        for model in models:
            stack.enter_context(unaccelerated(model))
        found = Evaluator(models, n_classes, runtime.device, stop=stop).score(portion.loader, "sounds")
    # The loader numbers clips by batch; back to the order in which they were given.
    order = np.argsort(portion.rows)
    errors = {portion.rows[row]: error for row, error in found.errors.items()}
    readable = [row for row in range(len(clips)) if row not in errors]
    place = {row: index for index, row in enumerate(row for row in portion.rows if row not in errors)}
    taken = [place[row] for row in readable]
    vectors = [torch.cat(parts).numpy()[taken] if parts else np.empty((0, 0)) for parts in read]
    return Evaluation(found.logits[:, order], found.loss, errors), vectors


@contextmanager
def _what_the_head_reads(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """A list that grows by (batch, dimensions) with every pass of the network."""
    read: list[torch.Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].float().cpu()))
    try:
        yield read
    finally:
        hook.remove()
