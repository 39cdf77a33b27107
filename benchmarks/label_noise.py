"""Wrong labels of the kinds that web audio has, drawn from true ones: exact shares, every draw by a seed.

even_<r>     a share r of the clips carries, in place of its labels, any class that it does not hold;
pairs_<r>    likewise a look-alike: each class has two, its neighbours on a ring drawn once;
open_<r>     a share r of the clips holds none of the classes: three of ten classes leave the class map, and
             clips of these alone carry a class of the map, drawn evenly. Clips too many, of either side, go;
missing_<r>  a share r of the clips with several labels lacks one of them;
fsd          one fifth open, one fifth pairs, a third of second labels missing, all at once.

In vocabulary or out of it, incorrect or incomplete: Fonseca et al. 2019, arXiv:1901.01189. Most wrong clips
of ARCA23K hold none of its classes: Iqbal et al. 2021, arXiv:2109.09227.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

KINDS = ("even", "pairs", "open", "missing")
SHARE_OUTSIDE = 0.3  # of the classes, where some leave the class map
SEED = 20  # of what is drawn once: look-alikes and the classes that leave
Labels = Mapping[str, frozenset[str]]  # fname -> labels


@dataclass(frozen=True)
class Noise:
    """How labels go wrong: shares of the clips, of `missing` those of the clips with several labels."""

    name: str
    even: float = 0.0
    pairs: float = 0.0
    open: float = 0.0
    missing: float = 0.0

    @property
    def key(self) -> str:
        """As files and runs are called: of even noise by its rate alone."""
        return f"{self.even:g}" if self.even else self.name


def parse_noise(text: str) -> Noise:
    """<kind>_<rate> or fsd; a rate alone is even noise. Raises ArgumentTypeError with the grammar."""
    if text == "fsd":
        return Noise("fsd", pairs=0.2, open=0.2, missing=1 / 3)
    match = re.fullmatch(rf"(?:({'|'.join(KINDS)})_)?(0?\.[0-9]+)", text, flags=re.ASCII)
    if not match or not float(match[2]):
        raise argparse.ArgumentTypeError(
            f"expected fsd or <kind>_<rate> with a rate between 0 and 1 and one of the kinds "
            f"{', '.join(KINDS)}, as pairs_0.4; got {text!r}"
        )
    kind, rate = match[1] or "even", float(match[2])
    return Noise(f"{kind}_{rate:g}", **{kind: rate})


@dataclass(frozen=True)
class Drawn:
    """noisy: the labels as given; truth: the true ones within the class map, none of an open clip."""

    noisy: Labels
    truth: Labels


def look_alikes(classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Each class's two neighbours on a ring of all: whoever looks like another is its look-alike, too."""
    ring = list(np.random.default_rng(SEED).permutation(sorted(classes)))
    return {
        str(name): (str(ring[index - 1]), str(ring[(index + 1) % len(ring)]))
        for index, name in enumerate(ring)
    }


def classes_outside(classes: Sequence[str]) -> frozenset[str]:
    """Three tenths of the classes, at least one: those that leave the class map."""
    n_outside = max(1, round(SHARE_OUTSIDE * len(classes)))
    drawn = np.random.default_rng(SEED).choice(sorted(classes), n_outside, replace=False)
    return frozenset(map(str, drawn))


def within(truth: Labels, classes: Collection[str]) -> dict[str, frozenset[str]]:
    """The labels among these classes, of the clips that have one."""
    kept = {fname: labels & frozenset(classes) for fname, labels in truth.items()}
    return {fname: labels for fname, labels in kept.items() if labels}


def draw_noise(truth: Labels, classes: Sequence[str], noise: Noise, seed: int) -> Drawn:
    """Labels gone wrong as `noise` says.

    Args:
        truth: of each clip all sounds that it holds.
        classes: all of these, those that leave the class map with `open` noise among them.
        seed: of the draw; the same seed, the same labels.

    Raises ValueError where too few clips can be wrong in this way.
    """
    rng = np.random.default_rng([SEED, seed])
    in_map = sorted(set(classes) - (classes_outside(classes) if noise.open else set()))
    inside = within(truth, in_map)
    outside = sorted(set(truth) - set(inside))
    if noise.open:
        inside, outside = _with_share(inside, outside, noise.open, rng)
    noisy = {**inside, **{fname: frozenset({_one(in_map, rng)}) for fname in outside}}
    n_clips, ring = len(noisy), look_alikes(in_map)
    untouched = sorted(inside)
    for share, wrong in (
        (noise.even, lambda labels: [name for name in in_map if name not in labels]),
        (noise.pairs, lambda labels: sorted({one for name in labels for one in ring[name]} - labels)),
    ):
        possible = {fname: found for fname in untouched if (found := wrong(inside[fname]))}
        for fname in _choice(possible, round(share * n_clips), noise, rng):
            noisy[fname] = frozenset({_one(possible[fname], rng)})
            untouched.remove(fname)
    several = [fname for fname in untouched if len(inside[fname]) > 1]
    for fname in _choice(several, round(noise.missing * len(several)), noise, rng):
        noisy[fname] = inside[fname] - {_one(sorted(inside[fname]), rng)}
    if noise.missing and not several:
        raise ValueError(f"{noise.name}: expected clips with several labels, found none")
    return Drawn(noisy, {fname: inside.get(fname, frozenset()) for fname in noisy})


def _with_share(
    inside: dict[str, frozenset[str]], outside: list[str], share: float, rng: np.random.Generator
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """As many clips as can stay so that this share of them is outside."""
    if not outside:
        raise ValueError("open: expected clips of none but the classes outside the map, found none")
    n_inside = min(len(inside), round(len(outside) * (1 - share) / share))
    n_outside = min(len(outside), round(len(inside) * share / (1 - share)))
    kept, further = (
        sorted(map(str, rng.choice(fnames, n, replace=False)))
        for fnames, n in ((sorted(inside), n_inside), (outside, n_outside))
    )
    return {fname: inside[fname] for fname in kept}, further


def _choice(fnames: Collection[str], n: int, noise: Noise, rng: np.random.Generator) -> list[str]:
    if n > len(fnames):
        raise ValueError(f"{noise.name}: expected {n} clips that can be wrong so, found {len(fnames)}")
    return [str(fname) for fname in rng.choice(sorted(fnames), n, replace=False)] if n else []


def _one(names: Sequence[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]
