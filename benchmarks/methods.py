"""The ways of using noisy clips that benchmarks/noisy.py compares."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """Noisy clips with their labels as they are, "given" or the "truth", or rounds; or neither.

    A round's {0.3} means 0.3 of the noisy clips. blend_of: in place of these, two trainings of another
    method blended: its last two rounds, or where it has none those of two seeds. distill_of: one training on
    the soft labels that the last two rounds of another give to noisy clips out of fold.
    """

    labels: str | None = None
    rounds: tuple[str, ...] = ()
    flags: dict = field(default_factory=dict)
    blend_of: str | None = None
    distill_of: str | None = None


SHARED = {"share_noisy": True}
PUBLISHED = {**SHARED, "no_out_of_fold": True}
SHARED_LAST = {"share_last_rounds": 1}
# What is nearly certain; then labels as they are, weighted by trust; then corrected ones. At last both of
# these, on all clips, blended: errors of given labels are random, those of corrected ones the networks' own.
OURS = ("trust_0.95", "trust-soft_0.3", "correct-soft_0.3", "trust-soft_0.3", "correct-soft_0.3")
OUR_FLAGS = {"share_last_rounds": 2, "blend_rounds": 2}
REPLACING = ("trust_0.95", *["correct-soft_0.3"] * 3)
METHODS = {
    "curated": Method(),
    "all": Method("given", flags=SHARED),
    "published": Method(
        rounds=("scoring_{0.3}", "scoring_{0.6}", "relabelall-replacenan_1.2"), flags=PUBLISHED
    ),
    "ours": Method(rounds=OURS, flags=OUR_FLAGS),
    # A second network before the first choice: cross-fitted on all labels as they are.
    "given_first": Method(rounds=("given", *OURS[-2:]), flags=OUR_FLAGS),
    "given_and_trust": Method(rounds=("given", "trust-soft_0.3", *OURS[-2:]), flags=OUR_FLAGS),
    "given_neighbours": Method(rounds=("given", *OURS[-2:]), flags={**OUR_FLAGS, "neighbours": 10}),
    "ours_neighbours": Method(rounds=OURS, flags={**OUR_FLAGS, "neighbours": 10}),
    "neighbours_first": Method(rounds=(OURS[0], *OURS[-2:]), flags={**OUR_FLAGS, "neighbours": 10}),
    "oracle": Method("truth", flags=SHARED),
    **{f"{name}_x2": Method(blend_of=name) for name in ("curated", "all", "published", "oracle")},
    # One network of ours, whose last rounds leave each fold a share of the clips to score.
    "ours_cross_fit": Method(rounds=OURS, flags={"cross_fit_noisy": True, "blend_rounds": 2}),
    "distilled": Method("soft", flags={**SHARED, "soft_power": 2.0}, distill_of="ours_cross_fit"),
    # Parts and relatives of ours and the published rounds.
    "ours_warm": Method(rounds=OURS, flags={**OUR_FLAGS, "warm_start": True}),
    "ours_self_scored": Method(rounds=OURS, flags={"blend_rounds": 2, **SHARED}),
    "trusting": Method(rounds=("trust_0.95", "trust_0.8", "trust_0.5", OURS[-1]), flags=SHARED_LAST),
    # Doubt in place of decisions: what is not sure becomes unknown.
    "ours_doubting": Method(rounds=(*OURS[:2], "doubt_0.7", "trust-soft_0.3", "doubt_0.7"), flags=OUR_FLAGS),
    "ours_doubting_last": Method(rounds=(*OURS[:4], "doubt_0.7"), flags=OUR_FLAGS),
    "doubting": Method(rounds=("trust_0.95", "doubt_0.8", "doubt_0.6", "doubt_0.5"), flags=SHARED_LAST),
    "replacing": Method(rounds=REPLACING, flags=SHARED_LAST),
    "replacing_warm": Method(rounds=REPLACING, flags={**SHARED_LAST, "warm_start": True}),
    "replacing_self_scored": Method(rounds=REPLACING, flags=SHARED),
    "scoring_corrected": Method(rounds=("scoring_{0.3}", "scoring_{0.6}", OURS[-1]), flags=PUBLISHED),
    "scoring": Method(rounds=("scoring_{0.3}", "scoring_{0.6}"), flags=PUBLISHED),
    "scoring_out_of_fold": Method(rounds=("scoring_{0.3}", "scoring_{0.6}"), flags=SHARED_LAST),
    "quota": Method(rounds=("quota_{0.3}", "quota_{0.6}"), flags=SHARED_LAST),
    "consensus": Method(rounds=("scoring_{0.3}", "consensus_{0.6}"), flags=SHARED_LAST),
    "soft": Method(rounds=("scoring_{0.3}", "soft_2"), flags=SHARED_LAST),
    "curated_zlpr": Method(flags={"loss": "zlpr"}),  # see benchmarks/thresholds.py
}
HEADLINE = ["curated_x2", "all_x2", "published_x2", "ours", "oracle_x2"]
