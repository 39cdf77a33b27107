"""Runs: what their result depends on (config), and the files of an experiment."""
