"""From the files that a package holds to files that Luban reads: one function a sample.

Each takes the folder of the package's files and the folder to fill.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

MNIST_SIDE = 28  # pixels


def keep(raw: Path, destination: Path) -> None:
    """Keep every file as it is."""
    for path in raw.iterdir():
        shutil.copyfile(path, destination / path.name)


def reuters(raw: Path, destination: Path) -> None:
    """Tables for Orange, with three header lines and an empty one -> train.csv and test.csv with text and label."""
    for part in ("train", "test"):
        lines = (raw / f"reuters-r8-{part}.tab").read_text("utf-8").split("\n")
        rows = [line.split("\t") for line in lines[4:] if line]
        frame = pl.DataFrame(rows, schema=["label", "text"], orient="row")
        frame.select(pl.col("text").str.strip_chars(), "label").write_csv(destination / f"{part}.csv")


def ratings(raw: Path, destination: Path) -> None:
    """RecBole's table, whose header names the types too -> ratings.csv."""
    rows = pl.read_csv(raw / "ml-100k.inter", separator="\t", schema_overrides=[pl.Int64] * 4)
    rows.rename(lambda column: column.split(":")[0]).write_csv(destination / "ratings.csv")


def digits(raw: Path, destination: Path) -> None:
    """Rows of 784 grey levels and a label -> train.parquet with an image in PNG and a label."""
    rows = pl.read_csv(raw / "mnist_5k.csv.gz", has_header=False).to_numpy()
    images = rows[:, :-1].astype(np.uint8).reshape(-1, MNIST_SIDE, MNIST_SIDE)
    frame = pl.DataFrame(
        {"image": [_png(image) for image in images], "label": rows[:, -1]},
        schema={"image": pl.Binary, "label": pl.Int64},
    )
    frame.write_parquet(destination / "train.parquet")


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def reviews(raw: Path, destination: Path) -> None:
    """Texts of two classes, one a line, many of them twice -> reviews.csv, each text once.

    A text that stands in both classes says nothing of its class and is left out.
    """
    classes = {label: _distinct_lines(raw / f"{label[:3]}.txt") for label in ("negative", "positive")}
    both = classes["negative"].keys() & classes["positive"].keys()
    rows = [(text, label) for label, texts in classes.items() for text in texts if text not in both]
    pl.DataFrame(rows, schema={"text": pl.String, "label": pl.String}, orient="row").write_csv(
        destination / "reviews.csv"
    )


def _distinct_lines(path: Path) -> dict[str, None]:
    """Return the lines that are not empty, each once and in the order of the file."""
    lines = (line.strip() for line in path.read_text("utf-8").split("\n"))
    return dict.fromkeys(line for line in lines if line)
