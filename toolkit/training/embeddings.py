"""Embeddings of clips by a backbone: computed once, kept on disk, read where other networks read waveforms.

<folder>/<digest of the backbone>/<2 hex digits>/<30>.npz, named by the content of a clip's file and, of a
window, by its place: whatever a clip is called and wherever it lies, its embedding is found again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ops.batching import batches_by_length
from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.runs.config import RunConfig
from toolkit.system import console, processes
from toolkit.system.console import progress
from toolkit.system.files import disk_errors, verified_archive, write_atomically
from toolkit.system.interruption import StopRequest
from toolkit.system.runtime import Runtime
from toolkit.training.backbones import ClipEmbedder, load_trained_on
from toolkit.training.evaluation import portion_of_batches

BATCH_SIZE = 16  # clips of 10 s
FOLDER = "embeddings"
Place = tuple[str, int | None, int | None]  # a file, and of a window where it begins and its samples


@dataclass(frozen=True)
class _Piece:
    """A clip, or a window of one, its place, and the name of its embedding; None: it cannot be read."""

    clip: Clip
    place: Place
    name: str | None


class Embeddings:
    """The embeddings of a backbone in a folder; for data sets it stands in for what reads sound files.

    Args:
        backbone: as --backbone names it.
        digest: of the backbone's files when the network was trained that takes the embeddings.
        size: numbers of an embedding.
    """

    def __init__(self, backbone: str, digest: str, size: int, folder: Path):
        self.backbone, self.digest, self.size, self.folder = backbone, digest, size, folder / digest
        self._found: dict[Place, np.ndarray | DataError] = {}

    def read(self, path: str | Path, start: int = 0, n_samples: int | None = None) -> np.ndarray:
        """(size,) float32: the embedding of a prepared window, of any other segment that of its whole clip.

        Raises DataError where the clip could not be read.
        """
        window, whole = (str(path), start, n_samples), (str(path), None, None)
        found = self._found[window if window in self._found else whole]
        if isinstance(found, DataError):
            raise found
        return found

    def prepared(self, clips: Sequence[Clip], runtime: Runtime, stop: StopRequest | None) -> Runtime:
        """Computes what is missing of the clips' (or windows') embeddings; a runtime that reads them.

        Under torchrun each process computes its part. What is done is kept: a killed run goes on from there.
        """
        # Looked up once: another process may be writing what this one would miss.
        missing, kept = processes.from_main(lambda: self._look_up(clips), stop)
        first_of = {piece.name or piece.place: piece for piece in missing}  # files of one content: once
        own = list(first_of.values())[processes.rank() :: processes.world_size()]
        computed = self._compute(own, runtime, stop) if own else {}
        if stop is not None:
            processes.wait_for_all(stop)
        for found in processes.gather(computed):
            computed |= found
        self._found |= kept | {piece.place: computed[piece.name or piece.place] for piece in missing}
        # Reading a vector takes no process, and a head no compiler.
        return replace(runtime, cache=self, num_workers=0, compile=False)

    def _look_up(self, clips: Sequence[Clip]) -> tuple[list[_Piece], dict[Place, np.ndarray]]:
        """The clips and windows whose embeddings are missing, and the embeddings that are there."""
        missing, kept = [], {}
        places = {
            (str(clip.path), clip.start, None if clip.start is None else clip.n_samples): clip
            for clip in clips
        }
        for place, clip in places.items():
            piece = _Piece(clip, place, _name_of(place))
            vector = self._kept(piece)
            if vector is None:
                missing.append(piece)
            else:
                kept[place] = vector
        console.note(f"{self.folder}: embeddings of {len(kept)} of {len(places)} clips are kept there")
        return missing, kept

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name[2:]}.npz"

    def _kept(self, piece: _Piece) -> np.ndarray | None:
        """The embedding on disk, where there is one and it is whole."""
        if piece.name is None or not self._path(piece.name).exists():
            return None
        try:
            with np.load(verified_archive(self._path(piece.name), "an embedding", "")) as content:
                vector = content["embedding"]
        except (ValueError, KeyError, OSError):  # damaged: it is computed anew
            return None
        return vector if vector.shape == (self.size,) and vector.dtype == np.float32 else None

    def _compute(
        self, pieces: Sequence[_Piece], runtime: Runtime, stop: StopRequest | None
    ) -> dict[str | Place, np.ndarray | DataError]:
        """The embeddings of clips by the pieces' names, written one by one."""
        backbone = load_trained_on(self.backbone, self.digest, runtime.device)
        embed = ClipEmbedder(backbone, runtime.device)
        batches = batches_by_length([piece.clip.n_samples for piece in pieces], BATCH_SIZE)
        clips = [piece.clip for piece in pieces]
        portion = portion_of_batches(clips, batches, replace(runtime, cache=None))
        computed: dict[str | Place, np.ndarray | DataError] = {}
        with progress(total=len(pieces), desc="embedding", unit="clip") as bar:
            for batch in portion.loader:
                if stop is not None:
                    stop.check()
                index = batch["index"].tolist()
                found: list[tuple[int, np.ndarray | DataError]] = list(batch["errors"])
                if index:
                    vectors = embed(batch["signal"].to(runtime.device), batch["lengths"]).numpy()
                    found += zip(index, vectors, strict=True)
                for row, value in found:
                    piece = pieces[portion.rows[row]]
                    computed[piece.name or piece.place] = value
                    if isinstance(value, np.ndarray) and piece.name is not None:
                        self._keep(piece, value)
                    bar.update()
        return computed

    def _keep(self, piece: _Piece, vector: np.ndarray) -> None:
        if not np.isfinite(vector).all():
            raise DataError(
                f"{piece.clip.path}: expected a finite embedding by {self.backbone}, found another; listen "
                "to the clip, or take another backbone"
            )
        path = self._path(piece.name)
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        # Unflushed: what a power cut leaves is known by its checksum.
        write_atomically(path, lambda file: np.savez(file, embedding=vector), flush=False)


def runtime_to_read(
    clips: Sequence[Clip],
    configs: Sequence[RunConfig],
    experiments_dir: str | Path,
    runtime: Runtime,
    stop: StopRequest | None,
) -> Runtime:
    """What networks of these configs read the clips (or windows) by: where they take waveforms the runtime.

    Where they take embeddings, see embeddings_of, those that are missing are computed.
    """
    embeddings = embeddings_of(configs, runtime, experiments_dir)
    return runtime if embeddings is None else embeddings.prepared(clips, runtime, stop)


def embeddings_of(
    configs: Sequence[RunConfig], runtime: Runtime, experiments_dir: str | Path
) -> Embeddings | None:
    """The embeddings that networks of these configs take; None where they take waveforms.

    They are kept in the folder of --cache, or else beside the experiments. Raises DataError where networks
    take different ones.
    """
    taken = {config.embedding for config in configs}
    if len(taken) > 1:
        raise DataError(
            "the experiments take clips in different forms ("
            + ", ".join(sorted({"waveforms" if one is None else one[0] for one in taken}))
            + "); predict with each alone, and blend_predictions.py averages the tables"
        )
    backbone = taken.pop()
    if backbone is None:
        return None
    folder = Path(experiments_dir) if runtime.cache is None else runtime.cache.folder
    return Embeddings(*backbone, folder / FOLDER)


def _name_of(place: Place) -> str | None:
    """32 hex digits of a file's content and of a window's place in it; None where it cannot be read."""
    path, start, n_samples = place
    try:
        status = os.stat(path)
        content = _content_digest(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except (OSError, ValueError):  # reading the clip says so
        return None
    window = b"" if start is None else f"{start} {n_samples}".encode()
    return hashlib.sha256(content + window).hexdigest()[:32]


@cache
def _content_digest(path: str, *state: int) -> bytes:
    """Of a file in a state; once a process, however many rounds ask for it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
