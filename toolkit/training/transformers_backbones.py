"""A pretrained network in a local folder, as the transformers library writes and reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ops.errors import DataError

# By model_type of config.json the classes of the network, without what stands on it, and of what turns sound
# into its input.
AST, CLAP = "audio-spectrogram-transformer", ("clap", "clap_audio_model")
CLASSES = {
    AST: ("ASTModel", "ASTFeatureExtractor"),
    "clap": ("ClapModel", "ClapFeatureExtractor"),
    "clap_audio_model": ("ClapAudioModel", "ClapFeatureExtractor"),
    "wav2vec2": ("Wav2Vec2Model", "Wav2Vec2FeatureExtractor"),
    "hubert": ("HubertModel", "Wav2Vec2FeatureExtractor"),
    "wavlm": ("WavLMModel", "Wav2Vec2FeatureExtractor"),
    "data2vec-audio": ("Data2VecAudioModel", "Wav2Vec2FeatureExtractor"),
}
UNUSED = {"masked_spec_embed"}  # of training alone, and missing in some published weights
WAVEFORM_SECONDS = 10  # the longest window of networks that take any length
AST_FRAME, AST_HOP = 0.025, 0.01  # seconds, of its filter banks


def load_transformer(folder: Path, device: torch.device) -> _Transformer:
    """The network of a folder, on a device, see toolkit.training.backbones."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    kind, model = "", None
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = config.model_type
        if kind in CLASSES:
            extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            model, found = getattr(transformers, CLASSES[kind][0]).from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # of a damaged folder: OSError, ValueError, KeyError, safetensors' own, ...
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{folder}: expected a network with its weights and preprocessor_config.json, cannot be loaded "
            f"({reason}); fetch it anew: hf download MODEL --local-dir {folder}"
        ) from error
    if model is None:
        raise DataError(
            f"{folder}: expected a network of sound, model_type one of {', '.join(CLASSES)}, found {kind!r}; "
            "export others to ONNX (docs/backbones.md)"
        )
    if type(extractor).__name__ != CLASSES[kind][1]:
        raise DataError(
            f"{folder}: expected {CLASSES[kind][1]} in preprocessor_config.json, which goes with {kind}, "
            f"found {type(extractor).__name__}; fetch it anew: hf download MODEL --local-dir {folder}"
        )
    missing = sorted(set(found["missing_keys"]) - UNUSED)
    if missing:
        raise DataError(
            f"{folder}: expected all weights of its network, {len(missing)} are not there (first "
            f"{missing[0]}); fetch it anew: hf download MODEL --local-dir {folder}"
        )
    if kind == "clap":
        model = model.audio_model
    made = _Clap if kind in CLAP else _Ast if kind == AST else _OfWaveforms
    return made(model.eval().to(device), extractor, device)


class _Transformer(ABC):
    """What a Backbone is, with what its windows pass first: the folder's feature extractor, on the CPU."""

    def __init__(self, model: nn.Module, extractor: Any, device: torch.device):
        self.model, self.extractor, self.device = model, extractor, device
        self.sample_rate = int(extractor.sampling_rate)
        self.window = self.hop = self._longest()

    @abstractmethod
    def _longest(self) -> int:
        """Samples of a window."""

    def _extracted(self, windows: Sequence[Tensor]) -> dict[str, Tensor]:
        arrays = [window.cpu().numpy() for window in windows]
        found = self.extractor(arrays, sampling_rate=self.sample_rate, return_tensors="pt")
        return {name: values.to(self.device) for name, values in found.items()}

    @abstractmethod
    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        """See toolkit.training.backbones.Backbone."""


class _Ast(_Transformer):
    """Audio Spectrogram Transformer, Gong et al. 2021, arXiv:2104.01778: its summarising tokens' mean."""

    def _longest(self) -> int:
        return round((AST_FRAME + AST_HOP * (self.extractor.max_length - 1)) * self.sample_rate)

    @torch.inference_mode()
    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        return self.model(**self._extracted(windows)).pooler_output.cpu()


class _Clap(_Transformer):
    """CLAP's tower of audio, Wu et al. 2022, arXiv:2211.06687, before its projection."""

    def _longest(self) -> int:
        return int(self.extractor.nb_max_samples)

    @torch.inference_mode()
    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        found = self._extracted(windows)
        # Of a batch without a longer clip the extractor says of a random one that it is longer.
        found["is_longer"] = torch.zeros_like(found["is_longer"])
        return self.model(**found).pooler_output.cpu()


class _OfWaveforms(_Transformer):
    """wav2vec 2.0 and its kin: the mean of the last layer's frames."""

    def _longest(self) -> int:
        return WAVEFORM_SECONDS * self.sample_rate

    @torch.inference_mode()
    def embed(self, windows: Sequence[Tensor]) -> Tensor:
        """Windows are extended with silence to whole seconds, and those of equal length share a pass."""
        by_length: dict[int, list[int]] = {}
        for row, window in enumerate(windows):
            by_length.setdefault(-(-len(window) // self.sample_rate) * self.sample_rate, []).append(row)
        vectors: list[Any] = [None] * len(windows)
        for length, rows in by_length.items():
            # One by one: each is normalised as its own samples ask for, before the silence.
            own = [self._extracted([windows[row]])["input_values"][0] for row in rows]
            batch = torch.stack([nn.functional.pad(values, (0, length - len(values))) for values in own])
            mask = torch.stack([torch.arange(length, device=self.device) < len(values) for values in own])
            given = {"attention_mask": mask.long()} if self.extractor.return_attention_mask else {}
            frames = self.model(batch, **given).last_hidden_state  # (rows, frames, size)
            for row, values, of_row in zip(rows, own, frames, strict=True):
                n_own = max(1, round(len(of_row) * len(values) / length))
                vectors[row] = of_row[:n_own].mean(dim=0).cpu()
        return torch.stack(vectors)
