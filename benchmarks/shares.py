"""How much of the oracle's gain a method recovers, over the layouts that can tell it; with standard errors.

Results are {(rotation, noise, seed, method): result}, of which `lwlrap` counts, and of the references each
test clip's part in it.
"""

from __future__ import annotations

import numpy as np
from real_runs import bootstrap_error


def error(values: list[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def references(results: dict) -> tuple[str, str]:
    """The methods that shares are measured between: the blended ones where they are there."""
    names = {name for *_, name in results}
    return ("curated_x2", "oracle_x2") if {"curated_x2", "oracle_x2"} <= names else ("curated", "oracle")


def telling_layouts(results: dict, noise: str, seeds: list[int]) -> tuple[list[int], list[str]]:
    """Rotations whose oracle gain is at least three standard errors, and a sentence on each of the others.

    The error is that of the test clips (bootstrap) or of the seeds, whichever is larger.
    """
    telling, left_out = [], []
    floor, ceiling = references(results)
    for rotation in sorted({r for r, found, _, _ in results if found == noise}):
        pairs = [
            (results[rotation, noise, seed, floor], results[rotation, noise, seed, ceiling])
            for seed in seeds
            if {(rotation, noise, seed, name) for name in (floor, ceiling)} <= set(results)
        ]
        if not pairs:
            continue
        gains = [oracle["lwlrap"] - curated["lwlrap"] for curated, oracle in pairs]
        of_clips = float(np.mean([bootstrap_error(*pair) for pair in pairs]))
        spread = max(of_clips, error(gains) if len(gains) > 1 else 0.0)
        if np.mean(gains) >= 3 * spread:
            telling.append(rotation)
        else:
            left_out.append(
                f"rotation {rotation} is left out: the oracle gains {np.mean(gains):.3f}, under three "
                f"standard errors ({spread:.3f} each)"
            )
    return telling, left_out


def recovered(curated: np.ndarray, method: np.ndarray, oracle: np.ndarray) -> tuple[float, float]:
    """(method - curated) / (oracle - curated) of the means over pairs, and its jackknife standard error.

    Of a difference of two methods, the difference of their shares.
    """
    gain, most = method - curated, oracle - curated
    share = gain.sum() / most.sum()
    n = len(gain)
    if n < 2:
        return float(share), float("nan")
    without = (gain.sum() - gain) / (most.sum() - most)
    return float(share), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def shared_pairs(scores: dict[tuple, float], results: dict, telling: list[int]) -> list[tuple]:
    """(rotation, noise, seed) of telling layouts that have both references."""
    return [
        key
        for key in scores
        if key[0] in telling and all((*key, name) in results for name in references(results))
    ]


def score_row(name: str, scores: dict[tuple, float], results: dict, telling: list[int]) -> list[str]:
    """Mean lwlrap over (rotation, noise, seed), and the share recovered where the layouts tell it."""
    floor, ceiling = references(results)
    pairs = shared_pairs(scores, results, telling)
    triples = [
        [results[*key, floor]["lwlrap"], scores[key], results[*key, ceiling]["lwlrap"]] for key in pairs
    ]
    share, spread = recovered(*np.array(triples).T) if triples else (np.nan, np.nan)
    values = list(scores.values())
    cells = [f"{np.mean(values):.3f} +- {error(values):.3f}", f"{share:.1%}", f"{spread:.1%}"]
    return [name, str(len(values)), *cells, str(len(triples))]


def margins(noise: str, methods: list[str], results: dict, telling: list[int]) -> list[str]:
    """A sentence on each method between the references that ours is compared with, on the pairs of both."""
    sentences = []
    floor, ceiling = references(results)
    ours = {key[:3]: run["lwlrap"] for key, run in results.items() if key[1] == noise and key[3] == "ours"}
    for name in methods:
        both = {key: score for key, score in ours.items() if (*key, name) in results}
        pairs = shared_pairs(both, results, telling)
        if name in ("ours", ceiling) or not pairs:
            continue
        curated, other, oracle = (
            np.array([results[*key, of]["lwlrap"] for key in pairs]) for of in (floor, name, ceiling)
        )
        ahead = np.array([ours[key] for key in pairs]) - other
        share, spread = recovered(curated, curated + ahead, oracle)
        sentences.append(f"ours is {share:+.1%} +- {spread:.1%} of the gain above {name}, {len(pairs)} pairs")
    return sentences
