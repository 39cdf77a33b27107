"""A network of any kind from the config that is stored with it."""

from __future__ import annotations

from typing import Any

from torch import nn

from networks.classifiers import Classifier, NetworkConfig, build_classifier
from networks.embeddings import EmbeddingConfig, EmbeddingHead
from networks.folding import fold_batch_norms


def build_network(network: dict[str, Any]) -> nn.Module:
    """A freshly initialised network of a config's section `network`."""
    if network.get("kind") == "embedding":
        return EmbeddingHead(EmbeddingConfig(**network))
    return build_classifier(NetworkConfig(**network))


def prepare_to_predict(model: nn.Module) -> nn.Module:
    """Makes an evaluating network faster, in place, where it can be."""
    return fold_batch_norms(model) if isinstance(model, Classifier) else model
