"""One HTML file per measurement: verdict, tables and figures, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simrecon.io import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.2rem .6rem;
text-align:left;font-variant-numeric:tabular-nums}th{background:#f3f3f3}img{max-width:100%}
.ok{color:#17692b}.weak{color:#8a5a00}.failed{color:#a01818}
"""


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it.

    Attributes
    ----------
    title : str
    text : str
        Paragraph; may be empty.
    header, rows
        Table of texts; empty rows: no table.
    figure : Figure or None
        Drawn below.
    """

    title: str
    text: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: Figure | None = None

    def to_html(self) -> str:
        """The section as an HTML fragment."""
        parts = [f"<h2>{html.escape(self.title)}</h2>"]
        if self.text:
            parts.append(f"<p>{html.escape(self.text)}</p>")
        if self.rows:
            cells = "".join(f"<th>{html.escape(h)}</th>" for h in self.header)
            parts.append(f"<table><tr>{cells}</tr>")
            for row in self.rows:
                cells = "".join(f"<td>{html.escape(str(c))}</td>" for c in row)
                parts.append(f"<tr>{cells}</tr>")
            parts.append("</table>")
        if self.figure is not None:
            name = html.escape(self.title)
            parts.append(f'<img alt="{name}" src="data:image/png;base64,{_png(self.figure)}">')
        return "\n".join(parts)


def _png(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def write_html(
    path: str | os.PathLike[str],
    title: str,
    verdict: str,
    notes: Sequence[str],
    sections: Sequence[Section],
) -> None:
    """Write a self-contained report, atomically."""
    said = "".join(f"<li>{html.escape(n)}</li>" for n in notes)
    body = "\n".join(s.to_html() for s in sections)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>"
        f'<p>Verdict: <b class="{html.escape(verdict)}">{html.escape(verdict)}</b></p>'
        f"<ul>{said}</ul>\n{body}\n</body></html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
