"""What a notebook shows of runs: tables that need no style sheet, no script and no colour.

Bars are of the text's own colour, so that they are seen on light and dark; who does not see them
reads the numbers.
"""

from __future__ import annotations

import datetime
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOST_COMPONENTS, _MOST_LABELS = 10, 20

Row = Sequence[str]


def text(foreign: object) -> str:
    """Foreign text: neither markup nor what turns the direction of its neighbours."""
    return f"<bdi>{html.escape(str(foreign))}</bdi>"


def run(contents: Any, output: str) -> str:
    """A run at a glance; `contents`: what the core sums up of it."""
    found = contents.run
    info = json.loads(found.info)
    counts = info["counts"]
    speed = f" ({info['images_per_second']:.0f} images/s)" if info["images_per_second"] else ""
    facts = [
        ("published", time(found.published_ns)),
        ("output", text(output)),
        ("input", text(info["input"])),
        ("images", f"{counts['rows']} in {found.seconds:.1f} s{speed}"),
        ("rejects", _by_reason(counts["rejects"], info["rejects_by_reason"])),
        ("skips", _by_reason(counts["skips"], info["skips_by_reason"])),
        ("size", f"{found.size} in {found.files} files"),
    ]
    tables = [
        _table(f"run {html.escape(found.run_id)}", (), facts),
        _variance(contents.variance),
        _labels(contents.rows_by_label),
    ]
    return f"<div>{''.join(tables)}</div>"


def runs(found: Iterable[Any], output: str) -> str:
    """The runs of an output."""
    rows = [
        (
            html.escape(one.run_id),
            time(one.published_ns),
            *(("?",) * 3 if one.problem else (one.rows, one.rejects, f"{one.seconds:.1f}")),
            one.size,
        )
        for one in found
    ]
    head = ("run", "published", "images", "rejects", "seconds", "size")
    return _table(f"runs in {text(output)}", head, [[str(cell) for cell in row] for row in rows])


def time(nanoseconds: int) -> str:
    local = datetime.datetime.fromtimestamp(nanoseconds // 10**9).astimezone()
    return f"{local:%Y-%m-%d %H:%M}"


def _table(caption: str, head: Row, rows: Iterable[Row]) -> str:
    """Of cells that are markup already; the first of a row names it."""
    # Else a notebook's MathJax, of either version, makes formulas of names with dollars.
    lines = [f'<table class="tex2jax_ignore mathjax_ignore"><caption>{caption}</caption>']
    if head:
        cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for first, *others in rows:
        cells = "".join(f'<td style="text-align:left">{cell}</td>' for cell in others)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    lines.append("</tbody></table>")
    return "\n".join(lines)


def _bar(value: float, largest: float) -> str:
    width = 12 * value / largest if largest > 0 else 0
    return (
        f'<span aria-hidden="true" style="display:inline-block;width:{width:.2f}em;height:.7em;'
        'background:currentColor;opacity:.6"></span>'
    )


def _by_reason(count: int, reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{text(reason)} {of}" for reason, of in reasons.items())
    return f"{count}: {listed}" if listed else str(count)


def _variance(shares: Sequence[float]) -> str:
    rows, total = [], 0.0
    for number, share in enumerate(shares[:_MOST_COMPONENTS], 1):
        total += share
        rows.append((str(number), f"{share:.1%} {_bar(share, shares[0])}", f"{total:.1%}"))
    caption = f"variance: {len(shares)} components explain {sum(shares):.1%}"
    return _table(caption, ("component", "variance", "cumulative"), rows)


def _labels(rows_by_label: Mapping[str, int]) -> str:
    frequent = sorted(rows_by_label.items(), key=lambda one: (-one[1], one[0]))
    rows = [
        (text(label) if label else "(none)", f"{count} {_bar(count, frequent[0][1])}")
        for label, count in frequent[:_MOST_LABELS]
    ]
    caption = f"labels: {len(frequent)}"
    if len(frequent) > len(rows):
        caption += f", the {len(rows)} most frequent"
    return _table(caption, ("label", "images"), rows)
