"""Clips: sound files and tables, labels, checks, folds, and the way from clips to batches."""
