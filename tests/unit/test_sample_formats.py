"""The files of samples, from the form that their packages have to the form that Luban reads."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luban.data.samples import formats


def test_reviews_stand_once_and_in_one_class(tmp_path: Path) -> None:
    raw, destination = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    destination.mkdir()
    (raw / "neg.txt").write_text('差\n 差 \n一般\n\n他说:"不, 好"\n', "utf-8")
    (raw / "pos.txt").write_text("好\n一般\n好", "utf-8")
    formats.reviews(raw, destination)
    assert pl.read_csv(destination / "reviews.csv").rows() == [
        ("差", "negative"),
        ('他说:"不, 好"', "negative"),
        ("好", "positive"),
    ]


@given(
    negative=st.lists(st.text("ab \u2028", max_size=3), max_size=12),
    positive=st.lists(st.text("ab \u2028", max_size=3), max_size=12),
)
@settings(max_examples=50, deadline=None)
def test_no_review_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, negative: list[str], positive: list[str]
) -> None:
    raw, destination = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("out")
    (raw / "neg.txt").write_text("\n".join(negative), "utf-8")
    (raw / "pos.txt").write_text("\n".join(positive), "utf-8")
    formats.reviews(raw, destination)
    rows = pl.read_csv(destination / "reviews.csv", schema={"text": pl.String, "label": pl.String}).rows()
    assert len({text for text, _ in rows}) == len(rows)
    classes = {text.strip(): {"negative"} for text in negative if text.strip()}
    for text in positive:
        if text.strip():
            classes.setdefault(text.strip(), set()).add("positive")
    assert dict(rows) == {text: labels.pop() for text, labels in classes.items() if len(labels) == 1}


def test_reuters_has_four_lines_before_its_rows(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"reuters-r8-{part}.tab").write_text(
            "Category\tText\nd\tstring\nclass\t\n\nearn\tnet of the year \nship\tport, closed\n"
        )
    formats.reuters(tmp_path, tmp_path)
    for part in ("train", "test"):
        assert (tmp_path / f"{part}.csv").read_text() == 'text,label\nnet of the year,earn\n"port, closed",ship\n'


def test_ratings_lose_the_types_in_their_header(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (tmp_path / "ml-100k.inter").write_text(header + "196\t242\t3\t881250949\n")
    formats.ratings(tmp_path, tmp_path)
    assert (tmp_path / "ratings.csv").read_text() == "user_id,item_id,rating,timestamp\n196,242,3,881250949\n"


def test_digits_decode_to_the_grey_levels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    lines = [",".join(map(str, [*image.reshape(-1), label])) for image, label in zip(pixels, (7, 0, 9), strict=True)]
    (tmp_path / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    formats.digits(tmp_path, tmp_path)
    frame = pl.read_parquet(tmp_path / "train.parquet")
    assert frame["label"].to_list() == [7, 0, 9]
    decoded = [np.asarray(Image.open(io.BytesIO(content))) for content in frame["image"]]
    np.testing.assert_array_equal(np.stack(decoded), pixels)
