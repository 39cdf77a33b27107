"""One self-contained HTML page from assets and data. All names in the data are hostile until escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).with_name("assets")


def build_page(title: str, body: str, styles: Sequence[str], scripts: Sequence[str], data: Any) -> str:
    """The page: body.html, the styles and scripts of those names, and data for the scripts to show.

    Scripts find the data as JSON in #data and put it into the page as text, never as markup. A content
    security policy allows these very styles and scripts, sounds and pictures, and nothing else.
    """
    style = "\n".join(_asset(f"{name}.css") for name in styles)
    script = "\n".join(['(() => {\n"use strict";', *(_asset(f"{name}.js") for name in scripts), "})();\n"])
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; img-src data:; "
        "media-src data: file: 'self'; base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=True)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{_asset(f'{body}.html')}\n"
        f'<script type="application/json" id="data">{json_for_script(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def json_for_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in; numbers that are not finite become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def data_uri(mime_type: str, content: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A policy's word for an inline style or script of this very text."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
