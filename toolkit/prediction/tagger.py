"""Tags of sounds: which classes a recording holds, how probably and when, or none of them.

tagger = Tagger.load("experiments/curated-0a1b2c3d")
table = tagger.predict(["dog.wav", "my_recordings/"])
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ops.activity import FRAME_SAMPLES, Span, frame_levels, sounding_spans, windows_of
from ops.errors import DataError
from ops.logits import sigmoid
from ops.sampling import SAMPLE_RATE
from toolkit.clips.loading import Clip
from toolkit.prediction.ensemble import FoldNetworks, NetworkBuilder, load_networks
from toolkit.prediction.sounds import ArrayClip, Sound, clips_of
from toolkit.prediction.tag_rules import rules_of
from toolkit.prediction.timeline import Heard, Tags, events_of, highest_of
from toolkit.runs.experiment import Experiment
from toolkit.runs.tag_rules import TagRules
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.embeddings import runtime_to_read
from toolkit.training.evaluation import require_finite
from toolkit.training.tag_fitting import score_with_vectors

BLOCK_SAMPLES = 3000 * FRAME_SAMPLES  # a minute; of what is read at once to find silence
TAG_HOPS, TIMELINE_HOPS = 2, 4  # windows begin so many times in a window's length
MIN_HOP_SECONDS = 0.01
MIN_GAP_SECONDS = 0.25  # of silence that ends a sound; or a quarter of a usual training clip, if longer


@dataclass(frozen=True)
class Tagger:
    """The networks of one or more experiments with the rules that make tags of their scores.

    A sound is heard in windows as long as training clips, its silences left out. A window's probabilities are
    the mean of the networks' calibrated ones, or 0 unless more than half of the networks have met its like; a
    sound's are those of the highest window. A class applies from its threshold on.
    """

    ensembles: Sequence[FoldNetworks]
    rules: Sequence[TagRules]
    runtime: Runtime
    stop: StopRequest | None = None
    batch_size: int = 32

    @classmethod
    def load(cls, *experiments: str | Path, device: str = "cpu") -> Tagger:
        """The tagger of experiments of the same classes; several are averaged.

        Raises DataError where one is none, is not trained, or has other classes, or there is no such device.
        """
        # The one place that reaches for networks: here no script hands them in.
        build = importlib.import_module("networks.build")
        builder = NetworkBuilder(build.build_network, build.prepare_to_predict)
        where = torch.device(device)
        if where.type == "cuda" and not torch.cuda.is_available():
            raise DataError(f"device: expected a GPU for {device!r}, found none; give device='cpu'")
        runtime = Runtime(device=where, num_workers=0)
        return cls.of([Experiment.load(path) for path in experiments], builder, runtime)

    @classmethod
    def of(
        cls,
        experiments: Sequence[Experiment],
        builder: NetworkBuilder,
        runtime: Runtime,
        stop: StopRequest | None = None,
        adapt_to: Sequence[Clip] | None = None,
    ) -> Tagger:
        """As load, of opened experiments; adapt_to as in load_networks."""
        if not experiments:
            raise DataError("expected at least one experiment, got none")
        for other in experiments[1:]:
            if other.classes != experiments[0].classes:
                raise DataError(
                    f"{other.directory}: expected the classes of {experiments[0].directory}, in the same "
                    "order, found others; load each alone"
                )
        rules = [rules_of(one, builder, runtime, stop) for one in experiments]
        configs, where = [one.config for one in experiments], experiments[0].directory.parent
        reading = runtime_to_read(adapt_to, configs, where, runtime, stop) if adapt_to else runtime
        ensembles = [load_networks(one, builder, reading, adapt_to) for one in experiments]
        return cls(ensembles, rules, runtime, stop)

    @property
    def classes(self) -> list[str]:
        return self.rules[0].classes

    @property
    def thresholds(self) -> np.ndarray:
        """(classes,) probabilities from which on a class applies."""
        return np.mean([rules.thresholds for rules in self.rules], axis=0)

    def predict(self, sounds: Sound | Sequence[Sound], sample_rate: int | None = None) -> pd.DataFrame:
        """A row for each class that applies to a sound: file, start, end, class, probability.

        start and end, in seconds, are those of the window in which the class is most probable. A sound to
        which none applies has one row: all of it, with None as its class and no probability.

        Args:
            sounds: files, folders with files, or arrays of floats in [-1, 1], (samples,) or (samples,
                channels); one or several. Arrays are named by their number.
            sample_rate: of the arrays, in Hz.

        Raises:
            DataError: something is no sound that can be read.
        """
        return self.tag(clips_of(sounds, sample_rate)).of_all().table

    def probabilities(self, sounds: Sound | Sequence[Sound], sample_rate: int | None = None) -> pd.DataFrame:
        """A row for each sound: file, and each class's probability in a column. Arguments of predict."""
        clips = clips_of(sounds, sample_rate)
        found = self.tag(clips).of_all()
        values = [heard.probabilities.max(axis=0, initial=0) for heard in found.heard]
        table = pd.DataFrame(np.reshape(values, (-1, len(self.classes))), columns=self.classes)
        table.insert(0, "file", [clip.fname for clip in clips], allow_duplicates=True)
        return table

    def timeline(
        self,
        sounds: Sound | Sequence[Sound],
        sample_rate: int | None = None,
        hop_seconds: float | None = None,
    ) -> pd.DataFrame:
        """A row for each stretch in which a class goes on: file, start, end, class, probability.

        hop_seconds: between windows; None: a quarter of their length. Other arguments of predict.
        """
        return self.time(clips_of(sounds, sample_rate), hop_seconds=hop_seconds).of_all().table

    def tag(self, clips: Sequence[Clip], window_seconds: float | None = None) -> Tags:
        """Of each clip the classes that apply. None: windows as long as long training clips."""
        window = window_seconds or max(rules.window_seconds for rules in self.rules)
        heard, errors = self._hear(clips, window, window / TAG_HOPS)
        good = [clip for index, clip in enumerate(clips) if index not in errors]
        return Tags(highest_of(heard, good, self.classes, self.thresholds), heard, errors)

    def time(
        self, clips: Sequence[Clip], window_seconds: float | None = None, hop_seconds: float | None = None
    ) -> Tags:
        """Of each clip when classes apply. None: windows of half a usual training clip, a quarter apart.

        Raises DataError for a hop that is no time, or under MIN_HOP_SECONDS.
        """
        if hop_seconds is not None and not hop_seconds >= MIN_HOP_SECONDS:
            raise DataError(f"hop_seconds: expected at least {MIN_HOP_SECONDS}, got {hop_seconds}")
        window = window_seconds or self._timeline_seconds
        heard, errors = self._hear(clips, window, hop_seconds or window / TIMELINE_HOPS)
        return Tags(events_of(heard, self.classes, self.thresholds), heard, errors)

    @property
    def _timeline_seconds(self) -> float:
        return max(rules.timeline_seconds for rules in self.rules)

    def _hear(
        self, clips: Sequence[Clip], window_seconds: float, hop_seconds: float
    ) -> tuple[list[Heard], dict[int, DataError]]:
        """What is heard in each clip that can be read, window by window, and the errors of the others."""
        sizes = [max(1, round(seconds * SAMPLE_RATE)) for seconds in (window_seconds, hop_seconds)]
        spans: list[list[Span] | DataError] = []
        for clip in clips:
            if self.stop is not None:
                self.stop.check()
            spans.append(self._spans(clip))
        windows = [
            (index, number, start, end)
            for index, found in enumerate(spans)
            if not isinstance(found, DataError)
            for number, span in enumerate(found)
            for start, end in windows_of(span, *sizes)
        ]
        probabilities, errors = self._probabilities(
            [replace(clips[index], start=start, n_samples=end - start) for index, _, start, end in windows]
        )
        rows_of: list[list[int]] = [[] for _ in clips]
        for row, (index, *_) in enumerate(windows):
            rows_of[index].append(row)
        heard, of_clips = [], {}
        for index, (clip, found, rows) in enumerate(zip(clips, spans, rows_of, strict=True)):
            bad = [found] if isinstance(found, DataError) else [errors[row] for row in rows if row in errors]
            if bad:
                of_clips[index] = bad[0]
                continue
            edges = np.array([windows[row][1:] for row in rows], dtype=int).reshape(-1, 3)
            heard.append(Heard(clip.fname, found, edges[:, 0], edges[:, 1:], probabilities[rows]))
        return heard, of_clips

    def _spans(self, clip: Clip) -> list[Span] | DataError:
        """Where a clip is not silent."""
        levels = []
        try:
            for start in range(0, clip.n_samples, BLOCK_SAMPLES):
                part = replace(clip, start=start, n_samples=min(BLOCK_SAMPLES, clip.n_samples - start))
                levels.append(frame_levels((clip if clip.n_samples <= BLOCK_SAMPLES else part).read()))
        except DataError as error:
            return error
        gap = max(MIN_GAP_SECONDS, self._timeline_seconds / 2)
        silence = min(rules.silence_db for rules in self.rules)
        return sounding_spans(np.concatenate(levels), clip.n_samples, silence, gap)

    def _probabilities(self, windows: Sequence[Clip]) -> tuple[np.ndarray, dict[int, DataError]]:
        """(windows, classes), and the errors of windows that cannot be read."""
        total = np.zeros((len(windows), len(self.classes)))
        if not windows:
            return total, {}
        models = [model for networks in self.ensembles for model in networks.models]
        checkpoints = [path for networks in self.ensembles for path in networks.checkpoints]
        found, vectors = score_with_vectors(
            models, windows, len(self.classes), self._reading(windows), self.stop, self.batch_size
        )
        require_finite(found.logits, [window.fname for window in windows], found.errors, checkpoints)
        good = [row for row in range(len(windows)) if row not in found.errors]
        votes = np.zeros(len(good))
        scores = zip(found.logits, vectors, strict=True)
        for networks, rules in zip(self.ensembles, self.rules, strict=True):
            for fold in networks.folds:
                logits, read_by_head = next(scores)
                share = 1 / len(networks.folds) / len(self.ensembles)
                total[good] += share * rules.calibration.apply(sigmoid(logits[good]))
                tests = rules.familiarity.get(fold)
                votes += share * (1 if tests is None else tests.accepts(read_by_head))
        total[np.array(good, dtype=int)[votes <= 0.5 + 1e-9]] = 0
        return total, found.errors

    def _reading(self, windows: Sequence[Clip]) -> Runtime:
        """What the networks read the windows by: their embeddings, where they take these."""
        experiments = [networks.experiment for networks in self.ensembles]
        configs, where = [one.config for one in experiments], experiments[0].directory
        if configs[0].embedding is not None and any(isinstance(window, ArrayClip) for window in windows):
            raise DataError(f"{where}: takes embeddings, which are of files, not of arrays")
        return runtime_to_read(windows, configs, where.parent, self.runtime, self.stop)
