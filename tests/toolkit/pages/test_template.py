"""The pages' template: data, titles and scripts that cannot break out."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from toolkit.pages.template import build_page, json_for_script


@given(st.recursive(st.text() | st.floats() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_data_never_leave_their_script_element(value):
    text = json_for_script(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    back = json.loads(text)
    assert json_for_script(back) == text  # what JSON lacks became null, the rest came back


def test_the_title_is_escaped_and_the_policy_names_the_very_scripts():
    page = build_page("<script>&\"'", "report", ["base"], ["dom"], {})
    assert "<title>&lt;script&gt;&amp;&quot;&#x27;</title>" in page
    policy = re.search('Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src &#x27;none&#x27;") and "unsafe" not in policy
    assert "http" not in policy and not re.search(r"(src|href)=.https?:", page)
