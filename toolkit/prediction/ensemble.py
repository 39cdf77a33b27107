"""The networks of an experiment's finished folds, ready to predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.runs.checkpoints import load_weights
from toolkit.runs.experiment import Experiment
from toolkit.system.runtime import Runtime, accelerate
from toolkit.training.batch_norm import adapt_batch_norms


@dataclass(frozen=True)
class NetworkBuilder:
    """What the scripts know of networks.

    Attributes:
        build: a config's section network -> a network.
        prepare: what a network with its weights undergoes before it predicts, in place.
    """

    build: Callable[[dict[str, Any]], nn.Module]
    prepare: Callable[[nn.Module], Any] = lambda model: model


@dataclass(frozen=True)
class FoldNetworks:
    """An experiment's finished folds and their networks."""

    experiment: Experiment
    folds: list[int]
    models: list[nn.Module]

    @property
    def checkpoints(self) -> list[Path]:
        """Where the networks are from."""
        return [self.experiment.checkpoint(fold, "best_model") for fold in self.folds]


def load_networks(
    experiment: Experiment, builder: NetworkBuilder, runtime: Runtime, adapt_to: Sequence[Clip] | None = None
) -> FoldNetworks:
    """The best models of all finished folds of an experiment, on the runtime's device.

    adapt_to: clips that their batch norms take statistics from, see toolkit.training.batch_norm.
    """
    folds, models = experiment.trained_folds(), []
    for fold in folds:
        model = load_best_model(experiment, fold, builder.build)
        model.to(runtime.device)
        if adapt_to is not None:
            adapt_batch_norms(model, adapt_to, experiment.config, runtime)
        builder.prepare(model)
        accelerate(model, runtime)
        models.append(model)
    return FoldNetworks(experiment, folds, models)


def load_best_model(
    experiment: Experiment, fold: int, build: Callable[[dict[str, Any]], nn.Module]
) -> nn.Module:
    """The best model of a fold, in evaluation, on the CPU."""
    try:
        model = build(experiment.config.network)
    except (TypeError, ValueError) as error:
        raise DataError(f"{experiment.path('config.json')}: section network: {error}") from error
    load_weights(model, experiment.checkpoint(fold, "best_model"), experiment.config)
    return model.eval()


def check_classes(experiment: Experiment, classes: Sequence[str], classmap: str) -> None:
    """Raises DataError where an experiment has other classes than a class map, or in another order."""
    theirs = experiment.classes
    if list(classes) == theirs:
        return
    if sorted(classes) == sorted(theirs):
        found = "has the same classes in another order"
    else:
        unknown = [name for name in classes if name not in theirs]
        found = f"has {len(classes)} classes, the experiment {len(theirs)}"
        found += f", {unknown[0]!r} not among them" if unknown else ""
    raise DataError(
        f"{classmap}: expected the classes of {experiment.directory}: it {found}; give the class map "
        "that it was trained with"
    )
