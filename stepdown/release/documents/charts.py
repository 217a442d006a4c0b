"""Draw a chart as inline SVG with Vega, through vl-convert: no browser, network or clock.

vl-convert is imported when the first chart is drawn and nowhere else: it starts a JavaScript
engine, which a command that draws nothing must not wait for.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import escape

from stepdown.release.documents.chart_specs import Chart

_VEGA_LITE = "6.4"
"""Fixed, so that a newer vl-convert does not change what is drawn by changing its default."""

_ROOT = re.compile(r'^<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')
_NOISE = re.compile(
    r' (?:role|aria-[a-z]+|class|pointer-events)="[^"]*"| opacity="1"| stroke-miterlimit="10"'
)
_NOTHING = re.compile(r'<path[^>]* d="(?:M0,0h0v0h0Z)?"(?: display="none")?/>|<g></g>')
_TAG = re.compile(r"<[^>]*>")
_LONG = re.compile(r"-?\d+\.\d{2,}")


def draw(chart: Chart) -> str:
    """The chart as an ``svg`` element with its own title and description."""
    width, height, body = _drawn(json.dumps(chart.spec, sort_keys=True))
    key = f"chart-{chart.key}"
    return (
        f'<svg role="img" aria-labelledby="{key}-title {key}-text" viewBox="0 0 {width} {height}">'
        f'<title id="{key}-title">{escape(chart.title)}</title>'
        f'<desc id="{key}-text">{escape(chart.text)}</desc>{body}</svg>'
    )


@lru_cache(maxsize=256)
def _drawn(spec: str) -> tuple[str, str, str]:
    """Width, height and content of the drawing. Documents are written twice: keep the first."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(json.loads(spec), vl_version=_VEGA_LITE)
    root = _ROOT.match(text)
    if root is None or "url(" in text:
        # Ids of clips and gradients count up within a process: such a drawing is not repeatable.
        raise AssertionError("the drawing is not a plain SVG element")
    body = _NOISE.sub("", text[root.end() : -len("</svg>")])
    # Coordinates only: what stands between the tags is a figure that people read.
    body = _TAG.sub(lambda tag: _LONG.sub(lambda found: f"{float(found[0]):.1f}", tag[0]), body)
    while (smaller := _NOTHING.sub("", body)) != body:
        body = smaller
    return root[1], root[2], body
