"""Rounds of relabeling: the plan and its directory, the run, the relabeled tables, the report."""
