"""A pretrained checkpoint, fine-tuned and frozen, on one text and on pairs; then used without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.tiny_checkpoints import save_tiny
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "food", "service", "price", "room", "quiet", "late"]


def checkpoint(folder: Path) -> Path:
    """A tiny BERT with a tokenizer of whole words."""
    save_tiny(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def reviews(rows: int = 240) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, rows)
    texts = [" ".join([*draw.choice(WORDS[6:], 6).tolist(), "good" if label else "bad"]) for label in labels]
    return pl.DataFrame({"text": texts, "label": labels})


@pytest.mark.parametrize("frozen", [False, True])
def test_fine_tuned_and_frozen_predict_alike_without_the_checkpoint(luban, tmp_path: Path, frozen: bool) -> None:
    reviews().write_csv(tmp_path / "reviews.csv")
    tiny = checkpoint(tmp_path / "tiny")
    result = luban(
        "train",
        "reviews.csv",
        "--model",
        tiny,
        "--set",
        f"model.tokens.frozen={str(frozen).lower()}",
        "--set",
        "train.epochs=4",
        "--set",
        "train.optim.backbone_learning_rate=0.003",
    )
    assert result.code == 0, result.err
    run = tmp_path / "runs" / "reviews"
    assert json.loads((run / "metrics.json").read_text())["scores"]["accuracy"]["value"] > (0.3 if frozen else 0.8)
    stored = pl.read_parquet(run / "predictions.parquet")
    shutil.rmtree(tiny)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert luban("predict", run, "reviews.csv", "-o", "out.csv").code == 0
    again = pl.read_csv(tmp_path / "out.csv")[(stored["row"] - 1).to_list()]
    assert (again["predicted_label"].cast(pl.String) == stored["predicted_label"]).mean() > 0.95
    assert (again["probability_1"] - stored["probability_1"]).abs().max() < 0.05


def test_the_tokens_of_a_batch_are_those_of_the_text_though_its_encoder_is_frozen(luban, tmp_path: Path) -> None:
    reviews().write_csv(tmp_path / "reviews.csv")
    common = ("--model", checkpoint(tmp_path / "tiny"), "--set", "train.epochs=1", "--set", "train.batch_tokens=200")
    rows = []
    for name in ("false", "true"):
        result = luban("train", "reviews.csv", *common, "--set", f"model.tokens.frozen={name}", "--name", name)
        assert result.code == 0, result.err
        lines = (tmp_path / "runs" / name / "history.jsonl").read_text("utf-8").splitlines()
        rows.append([line["rows"] for line in map(json.loads, lines) if line["event"] == "StepDone"])
    assert rows[0] == rows[1]
    assert len(rows[0]) > 5


def test_vectors_of_a_frozen_encoder_are_kept_for_the_next_training(luban, tmp_path: Path) -> None:
    reviews().write_csv(tmp_path / "reviews.csv")
    frozen = ("--model", checkpoint(tmp_path / "tiny"), "--set", "model.tokens.frozen=true", "--set", "train.epochs=1")

    def train(name: str, *more: object) -> tuple[int, bytes]:
        """Return how often vectors came out of the cache, and the weights."""
        result = luban("train", "reviews.csv", *frozen, "--name", name, *more)
        assert result.code == 0, result.err
        return result.out.count("taken from the cache") - result.out.count("encoded columns"), (
            tmp_path / "runs" / name / "model.safetensors"
        ).read_bytes()

    taken, weights = train("first")
    assert taken == 0
    assert train("second") == (2, weights)  # training and validation rows
    files = sorted((tmp_path / "cache" / "encoded").glob("vectors-*/vectors.npz"))
    assert len(files) == 2
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert train("third") == (0, weights)
    assert train("fourth", "--seed", 1)[0] == 0  # other rows


def test_pairs_are_read_together(luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    first, second = draw.integers(4, 6, 400), draw.integers(4, 6, 400)
    fill = [" ".join(draw.choice(WORDS[6:], 4)) for _ in range(400)]
    pl.DataFrame(
        {
            "left": [f"{words} {WORDS[i]}" for words, i in zip(fill, first, strict=True)],
            "right": [f"{WORDS[i]} {words}" for words, i in zip(reversed(fill), second, strict=True)],
            "same": (first == second).astype(int),
        }
    ).write_csv(tmp_path / "pairs.csv")
    tiny = checkpoint(tmp_path / "tiny")
    result = luban(
        "train",
        "pairs.csv",
        "--model",
        tiny,
        "--set",
        "data.columns={left: text, right: text}",
        "--set",
        "train.epochs=6",
        "--set",
        "train.patience=0",
        "--set",
        "train.optim.backbone_learning_rate=0.003",
    )
    assert result.code == 0, result.err
    assert result.out.count("the pretrained model's tokenizer") == 2
    assert json.loads((tmp_path / "runs/pairs/metrics.json").read_text())["rows"] == 40
