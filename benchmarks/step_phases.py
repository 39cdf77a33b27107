"""The phases of a training step and a batch of inference: time, operator calls, kernel launches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from inputs import synchronize
from kernels import kernels_of, launches_of
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode

import predict_2d_cnn
import train_2d_cnn
from ops.batch_augmentation import to_device
from ops.losses import LOSSES
from ops.optimization import make_optimizer
from ops.transforms import Augmentation
from toolkit.clips.loading import Segments, TrainingDataset, training_loader
from toolkit.prediction.ensemble import load_networks
from toolkit.runs.clips import load_splits
from toolkit.runs.config import SubmissionConfig
from toolkit.runs.experiment import Experiment
from toolkit.system.runtime import Runtime, accelerate

Phases = dict[str, Callable[[int], object]]  # functions of the step's number, done one after the other
ALL = "all, not waited for in between"


@dataclass
class Measured:
    """Of a phase, in the mean of the steps.

    seconds: on the clock. processor_seconds: of all threads. operators: that reach a kernel of the device,
    views included. launches, kernel_seconds: of a GPU.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    operators: float = 0.0
    launches: float = 0.0
    kernel_seconds: float = 0.0


class OperatorCount(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.n += 1
        return function(*arguments, **(options or {}))


def training_phases(experiment: Experiment, runtime: Runtime, n_steps: int) -> Phases:
    """A training step of a run's fold 0, in its order and on its augmented batches; loading is left out."""
    config, device = experiment.config, runtime.device
    train = config.train
    augmentation = Augmentation(train.p_mixup, train.p_aug, train.effects, train.p_shuffle, train.p_silence)
    clips = load_splits(config.data, SubmissionConfig()).folds[0].training
    segments = Segments(config.data.max_audio_length, train.seed, 0)
    dataset = TrainingDataset(clips, segments, augmentation, 10**6, augmentation.can_draw_ahead)
    loader, batches = training_loader(dataset, train.batch_size, runtime)
    loaded = []
    for epoch in range(n_steps):
        batches.set_epoch(epoch)
        loaded += islice(loader, n_steps - len(loaded))
    model = train_2d_cnn.SCRIPT.build_network(config.network).to(device).train()
    accelerate(model, runtime)
    optimizer = make_optimizer(train.optimizer, model.parameters(), 1e-4, train.weight_decay)
    state = {}

    def augment(step: int) -> None:
        state["batch"] = to_device(loaded[step], device)

    def forward(_: int) -> None:
        batch = state["batch"]
        state["loss"] = LOSSES[train.loss](model(batch["signal"], batch["lengths"]), batch["labels"])

    def update(_: int) -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return {
        "moving and augmenting": augment,
        "forward and loss": forward,
        "backward": lambda _: state.pop("loss").backward(),
        "optimizer": update,
    }


def inference_phases(experiment: Experiment, runtime: Runtime) -> Phases:
    """A batch of the training's size and length, scored by the fold's best network as a prediction does."""
    networks = load_networks(experiment, predict_2d_cnn.NETWORKS, runtime)
    config, model = experiment.config, networks.models[0]
    segments = Segments(config.data.max_audio_length, 0, 0)
    torch.manual_seed(0)
    signal = 0.1 * torch.randn(config.train.batch_size, segments.max_samples, device=runtime.device)
    lengths = torch.full((len(signal),), signal.shape[1])
    state = {}

    @torch.inference_mode()
    def front_end(_: int) -> None:
        state["features"] = model.extract_features(signal, lengths)

    @torch.inference_mode()
    def classify(_: int) -> None:
        model.classify(*state["features"])

    return {"front end": front_end, "network": classify}


def measure_phases(phases: Phases, n_steps: int, device: torch.device) -> tuple[dict[str, Measured], profile]:
    """What each phase takes, and ALL of them; and the profile of the steps."""
    measured = {name: Measured() for name in (*phases, ALL)}

    def run(around: Callable[[str], object]) -> None:
        for step in range(n_steps):
            for name, phase in phases.items():
                with around(name):
                    phase(step)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        before = time.perf_counter(), time.process_time()
        yield
        synchronize(device)
        measured[name].seconds += (time.perf_counter() - before[0]) / n_steps
        measured[name].processor_seconds += (time.process_time() - before[1]) / n_steps

    @contextmanager
    def counted(name: str) -> Iterator[None]:
        with OperatorCount() as count:
            yield
        for key in (name, ALL):
            measured[key].operators += count.n / n_steps

    @contextmanager
    def recorded(name: str) -> Iterator[None]:
        with record_function(name):
            yield
            synchronize(device)

    for phase in phases.values():  # warms up, and makes the optimizer's state
        phase(0)
    run(counted)
    synchronize(device)
    with timed(ALL):
        for step in range(n_steps):
            for phase in phases.values():
                phase(step)
    run(timed)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities, acc_events=True) as found:
        run(recorded)
    count_kernels(found, measured, n_steps)
    return measured, found


def count_kernels(found: profile, measured: dict[str, Measured], n_steps: int) -> None:
    """Adds the kernels and their launches to the phases within whose time they lie."""
    ranges = [
        (event.time_range, event.name)
        for event in found.events()
        if event.name in measured and event.device_type == DeviceType.CPU
    ]

    def phases_at(moment: float) -> list[str]:
        return [ALL, *(name for span, name in ranges if span.start <= moment <= span.end)]

    for event in launches_of(found):
        for name in phases_at(event.time_range.start):
            measured[name].launches += 1 / n_steps
    for event in kernels_of(found):
        for name in phases_at(event.time_range.start):
            measured[name].kernel_seconds += event.time_range.elapsed_us() / 1e6 / n_steps


def phase_table(title: str, measured: dict[str, Measured], on_gpu: bool) -> str:
    """Markdown: a row a phase."""
    lines = [
        f"| {title} | on the clock, ms | processor, ms | operator calls | kernel launches | kernels, ms "
        "| GPU busy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, of in measured.items():
        cells = [f"{1e3 * of.seconds:.2f}", f"{1e3 * of.processor_seconds:.1f}", f"{of.operators:.0f}"]
        busy = f"{of.kernel_seconds / of.seconds:.0%}"
        cells += [f"{of.launches:.0f}", f"{1e3 * of.kernel_seconds:.2f}", busy] if on_gpu else ["", "", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def operator_table(title: str, found: profile, n_steps: int, n_rows: int) -> str:
    """Markdown: the operators, and on a GPU the kernels, that take most time themselves."""
    averages = [entry for entry in found.key_averages() if not entry.is_user_annotation]
    kinds = {"operators by their own time on the processor": "self_cpu_time_total"}
    if kernels_of(found):
        kinds["kernels by their time on the GPU"] = "self_device_time_total"
    tables = []
    for kind, attribute in kinds.items():
        if attribute == "self_device_time_total":
            entries = [entry for entry in averages if entry.device_type == DeviceType.CUDA]
        else:
            entries = [entry for entry in averages if entry.device_type == DeviceType.CPU]
        in_all = sum(getattr(entry, attribute) for entry in entries) or 1
        lines = [f"| {title}: {kind} | ms | share | calls |", "| --- | --- | --- | --- |"]
        for entry in sorted(entries, key=lambda entry: -getattr(entry, attribute))[:n_rows]:
            own = getattr(entry, attribute)
            name = entry.key.replace("|", "\\|")[:80]
            lines.append(
                f"| `{name}` | {own / 1e3 / n_steps:.2f} | {own / in_all:.1%} | {entry.count / n_steps:.1f} |"
            )
        tables.append("\n".join(lines))
    return "\n\n".join(tables)
