"""A browser for the pages."""

import pytest


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    from browser import Browser  # its package is needed only here

    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """The session's Chromium; at the end of the test its console must be empty and the network unused."""
    chromium.errors(), chromium.requests()
    yield chromium
    assert chromium.errors() == []
    assert chromium.requests() == []
