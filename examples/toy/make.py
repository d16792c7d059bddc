"""Write the toy data sets of the examples: AND, clusters, sequences, copying."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def write_csv(name: str, header: list[str], rows: list[list[object]]) -> None:
    with (FOLDER / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def logical_and() -> None:
    """The truth table."""
    write_csv("and.csv", ["a", "b", "a_and_b"], [[a, b, int(a and b)] for a in (0, 1) for b in (0, 1)])


def clusters(draw: np.random.Generator) -> None:
    """1,000 points of 100 small integers around 10 centres."""
    centres = draw.integers(0, 10, (10, 100))
    labels = draw.integers(0, 10, 1000)
    points = np.clip(centres[labels] + draw.normal(0, 4, (1000, 100)).round(), 0, 9).astype(int)
    rows = [[*point, f"cluster {label}"] for point, label in zip(points.tolist(), labels.tolist(), strict=True)]
    write_csv("clusters.csv", [*(f"x{i}" for i in range(100)), "cluster"], rows)


def sequences(draw: np.random.Generator) -> None:
    """1,000 sequences of 10 steps of 10 numbers; the value is a decaying sum of the first number of each step."""
    steps = draw.normal(0, 1, (1000, 10, 10)).round(2)
    values = (steps[:, :, 0] * 0.8 ** np.arange(9, -1, -1)).sum(1) + draw.normal(0, 0.05, 1000)
    with (FOLDER / "sequences.jsonl").open("w", encoding="utf-8") as file:
        for row, value in zip(steps.tolist(), values.round(4).tolist(), strict=True):
            file.write(json.dumps({"sequence": row, "value": value}) + "\n")


def copying(draw: np.random.Generator) -> None:
    """2,000 rows of 12 words; the label is the word after the marker `copy`."""
    words = ["red", "green", "blue", "black", "white", "gold", "pink", "grey"]
    rows: list[list[object]] = []
    for _ in range(2000):
        text = draw.choice(words, 12).tolist()
        place = int(draw.integers(0, 11))
        text[place] = "copy"
        rows.append([" ".join(text), text[place + 1]])
    write_csv("copying.csv", ["text", "word"], rows)


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    logical_and()
    clusters(generator)
    sequences(generator)
    copying(generator)
