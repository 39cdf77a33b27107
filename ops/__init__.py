"""What the scripts share, one question a module.

upper   cli (parsers, errors), training_cli (training flags -> config), cross_validation (the order of
        steps of a run), fold_run (those of a fold), noisy_rounds (the order of runs), rounds_plan (what
        they depend on, and where they stand), round_report (what rounds.csv says), round_blend (the last
        rounds as one), public_data (layouts of public data sets)
middle  sharding (prediction on several processes), training (the loop), replicas (a network on several
        processes), run_tables (which clips a run uses), datasets (clips -> batches), device_augmentation
        (batches -> augmented on the device), clip_checks (headers), ensembles (prediction with the folds
        of experiments), noisy_folds (which clips a fold saw), clip_record (that they stay the same),
        warm_start (--init_from), norm_statistics (BatchNorm's, refreshed and adapted), out_of_fold
        (predictions of validation clips and their labels),
        calibration (scores that compare between clips), relabeled_tables (a mode applied to tables),
        known_bad (clips known to be wrong), data_report (all that is wrong with tables and clips), problems
        (how that is told), blending (several predictions -> one), scoring (figures of predictions), releases
        (downloaded folders, whole or not there), pages (a package: report and review as HTML files)
leaves  acceleration, archives, audio, batching, checkpoints, correction, distributed (the processes of
        torchrun), downloads, effects (of resampling, reverb and time_stretch), experiment, features, files,
        folds, history, labels, losses, metrics, interruption, optimization, predictions, relabeling,
        summaries, tables, transforms
people  console (--quiet, colours), help_texts (--help), suggestions (what was meant), own_sounds (files,
        folders, windows), comparison and durations (a table of experiments), spectrogram_images,
        model_files (ONNX, torch.export)

Scripts import ops and networks, nothing imports a script; ops never imports networks; networks
imports ops.features only. tests/test_layering.py holds the rule.
"""
