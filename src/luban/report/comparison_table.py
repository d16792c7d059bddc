"""A comparison of two runs in a terminal."""

from __future__ import annotations

from typing import Any


def comparison_lines(comparison: dict[str, Any]) -> list[str]:
    """Return the lines: scores, changed rows, cost, verdict."""
    lines = [f"{comparison['rows']:,} rows; A is {comparison['a']['run']}, B is {comparison['b']['run']}"]
    for metric, found in comparison["metrics"].items():
        a, b, difference = found["a"], found["b"], found["difference"]
        if None in (a, b, difference["low"]):
            continue
        interval = f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
        lines.append(f"{metric.replace('_', ' '):<18} A {a:.4f}   B {b:.4f}   difference {interval}")
    if found := comparison["mcnemar"]:
        lines.append(
            f"McNemar            A alone right {found['a_alone']:,}, B alone {found['b_alone']:,}, p {found['p']:.3g}"
        )
    for name, title in (("mended", "B mends"), ("broken", "B breaks")):
        lines += [
            f"{title:<18} row {row['row']}: actual {row['actual']}, A {row['a']}, B {row['b']}"
            for row in comparison[name][:3]
        ]
    for name in ("a", "b"):
        cost = comparison[name]
        seconds = "-" if cost["train_seconds"] is None else f"{cost['train_seconds']:,.1f} s"
        lines.append(f"cost of {name.upper():<10} {seconds} of training, {cost['bytes'] / 1e6:,.1f} MB")
    return [*lines, comparison["verdict"]]
