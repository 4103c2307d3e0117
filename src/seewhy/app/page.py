"""The page itself."""

from __future__ import annotations

import base64
import hashlib

_STYLE = "body { font: 1rem system-ui; margin: 2rem }"


def page() -> tuple[str, str]:
    """The document, and the Content-Security-Policy that lets it do what it does and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    html = f'<!doctype html><html lang="en"><title>seewhy</title><style>{_STYLE}</style><h1>seewhy</h1></html>'
    return html, f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
