"""The few pages for people that the web services have: one look, no scripts and nothing from the network."""

from __future__ import annotations

import html
from collections.abc import Sequence

from starlette.responses import Response

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-top:1px solid #d0d7de;"
    "padding-top:1rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.3rem .6rem;border-bottom:1px solid #d0d7de}code,pre{font:14px/1.45 ui-monospace,monospace;"
    "background:#f3f4f6;border-radius:4px}code{padding:.1rem .25rem}pre{padding:.7rem;overflow:auto}a{color:#0550ae}"
    "summary{cursor:pointer}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}code,pre{background:#1c2128}"
    "h2,th,td{border-color:#30363d}a{color:#6cb6ff}}"
)
# What the pages need and nothing else, should text of somebody's ever end up in one as markup.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def text(value: str) -> str:
    """Return ``value`` as HTML text."""
    return html.escape(value)


def page(title: str, *body: str) -> Response:
    """Return a whole page; ``title`` is text, ``body`` is HTML."""
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body><h1>{text(title)}</h1>{''.join(body)}</body></html>"
    )
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/html", headers=headers)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; the cells of ``rows`` are HTML."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
