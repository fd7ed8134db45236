"""HTML without scripts: escaping, the frame of a page and its style; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from datlake_server.http.exchange import Answer

STYLE: Final = """
:root{color-scheme:light dark;--ground:#f7f8fa;--surface:#fff;--border:#e3e6eb;--text:#171b22;--muted:#58616e;
--accent:#2557d6;--completed:#1d7a4f;--running:#2557d6;--failed:#c2312e;--lost:#9a6200;--aborted:#6b5fb5}
@media(prefers-color-scheme:dark){:root{--ground:#0e1116;--surface:#151a21;--border:#262d37;--text:#e8ecf2;--muted:#a3adbb;
--accent:#7ea2ff;--completed:#4cc38a;--running:#7ea2ff;--failed:#ff7b72;--lost:#e0a63a;--aborted:#a99cf0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:14px/20px system-ui,sans-serif;
font-variant-numeric:tabular-nums}
main,header{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:16px;padding-bottom:16px;display:flex;gap:24px;align-items:baseline}
header b{font-size:16px}
main{padding-bottom:64px}
h1{font-size:20px;line-height:28px;margin:16px 0 4px;overflow-wrap:anywhere}
h2{font-size:16px;margin:32px 0 8px}
h3{font-size:14px;margin:0}
p{margin:4px 0 12px}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
section.card,details{background:var(--surface);border:1px solid var(--border);border-radius:6px;padding:12px 16px;
margin:8px 0}
details>summary{cursor:pointer}
.scroll{overflow-x:auto;background:var(--surface);border:1px solid var(--border);border-radius:6px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:8px 16px;border-top:1px solid var(--border);vertical-align:top;overflow-wrap:anywhere}
th,td .state{white-space:nowrap}
tr:first-child>th{border-top:0}th{font-weight:600;color:var(--muted);font-size:12px}
.muted,dt{color:var(--muted)}.mono,code,pre{font-family:ui-monospace,monospace;font-size:13px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:8px 0 0}pre.failed{max-height:15em;overflow-y:auto}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:8px 0}dd{margin:0;overflow-wrap:anywhere}
.state::before{content:"\\25CF\\00A0"}
.completed{color:var(--completed)}.running{color:var(--running)}.failed{color:var(--failed)}
.lost{color:var(--lost)}.lost::before{content:"\\25CB\\00A0"}.aborted{color:var(--aborted)}.aborted::before{content:"\\25A0\\00A0"}
.method{display:inline-block;min-width:56px;font-weight:600}
@media(max-width:720px){main,header{padding-left:12px;padding-right:12px}th,td{padding:8px}}
"""

_STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def escaped(value: object) -> str:
    """`value` as text that is only text, in an element as in an attribute."""
    return html.escape(str(value), quote=True)


def page(title: str, body: str) -> bytes:
    """A whole page; `title` is escaped here, `body` is HTML already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escaped(title)} · Datlake</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<header><b>Datlake</b><a href="/">Runs</a><a href="/docs">API</a></header><main>{body}</main></body></html>'
    ).encode("utf-8", "replace")


def html_answer(content: bytes, status: int = 200) -> Answer:
    """`content` as a page that runs nothing, loads nothing and cannot be framed."""
    return Answer(
        status=status,
        headers=(
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _POLICY.encode()),
            (b"x-frame-options", b"DENY"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ),
        body=content,
    )


def rows(heads: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    """A table; its cells are HTML already."""
    top = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'
