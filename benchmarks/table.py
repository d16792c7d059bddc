"""Print the table of the README from the result files: `python benchmarks/table.py`.

A row a claim and peer of the newest entry: the ratio that was measured, the bar, the difference of the test scores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
CLAIMS = ("mrpc", "banking77", "predict", "frozen", "mnist", "cifar10", "adult", "start")


def rows() -> list[str]:
    """Return the rows of the table."""
    found = []
    for name in CLAIMS:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        entry = json.loads(path.read_text("utf-8"))[-1]
        for peer, claim in entry["claims"].items():
            if isinstance(claim, dict) and "speed" in claim:
                found.append(row(name, peer, claim))
    return found


def row(name: str, peer: str, claim: dict[str, Any]) -> str:
    """Return one row: script, peer, seconds of both in the pair nearest to the median, ratio, bar, scores."""
    speed = claim["speed"]
    measured = speed["measured"]
    pair = min(speed["pairs"], key=lambda pair: abs(pair["ratios"][measured] - speed["median"]))
    seconds = [pair[side]["seconds"][measured] for side in ("luban", "peer")]
    bar = f"{claim['bar']:g}" if claim.get("bar") else "–"
    difference = claim.get("scores", {}).get("difference")
    scores = "–" if difference is None else f"{100 * difference:+.1f}"
    cells = [f"`{name}.py`", peer, *(f"{value:.1f} s" for value in seconds), f"**{speed['median']:.2f}**", bar, scores]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(rows()))
