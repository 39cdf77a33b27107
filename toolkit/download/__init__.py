"""Public data sets: resumable downloads, split archives, and their layout for the scripts."""
