"""All that surrounds the computing: files, clips, runs, processes, people.

A wing imports only from the wings before it and from ops, never from networks: scripts hand networks in.

system      files, processes, signals, the console, and what a process computes with
clips       sound files, tables, labels, their checks, folds, loading, a person's own recordings
download    public data sets, resumable and verified
runs        configs, experiments and their files: records, history, checkpoints, predictions, summaries
training    the training loop, the evaluation loop, batch norms, one fold, cross-validation
prediction  networks of experiments, sharded scoring, blending, calibration, scores, exported models
rounds      rounds of relabeling: plan, tables, report
pages       HTML to look at and listen to
cli         parsers, help, presets, and flags from the dataclasses of runs
"""


def __getattr__(name: str):
    """`from toolkit import Tagger`, loaded only where it is asked for."""
    if name == "Tagger":
        from toolkit.prediction.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
