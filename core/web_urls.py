"""Links that come from outside: only web addresses are ever rendered as links."""

from __future__ import annotations

from urllib.parse import urlsplit


def web_url(text: str) -> str:
    """Return the URL without surrounding space if it is http(s), else "".

    A browser drops spaces, tabs and newlines in front of and inside a scheme, and so does urlsplit:
    " java\\nscript:" is javascript here, too.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.netloc else ""
