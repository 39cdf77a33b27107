"""Training: cross_validation runs folds, a fold runs the trainer and the evaluation."""
