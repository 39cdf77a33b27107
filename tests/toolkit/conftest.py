"""A file for texts of all kinds."""

import os

import pytest


@pytest.fixture(scope="module")
def any_file(tmp_path_factory):
    """A path to write thousands of small files to, which need not reach the disk one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield tmp_path_factory.mktemp("any_text") / "file"
