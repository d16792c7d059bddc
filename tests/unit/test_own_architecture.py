"""An architecture that is not Luban's own: one line in MODELS, before anything reads the table, is all that it takes.

This file is the program, too: the test runs it in a process of its own, since in this one the table is long read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from torch import Tensor, nn

from luban import models
from luban.core.settings import Width
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.base import Architecture, Encoder, EncoderConfig

WORDS = ("good", "bad")


class BagConfig(EncoderConfig):
    """The sum of a text's token vectors."""

    architecture: Literal["bag"] = "bag"
    dim: Width = 16


class Bag(Encoder):
    """TOKENS (N,) -> Ragged (N, dim), and their sums (B, dim)."""

    def __init__(self, config: BagConfig, spec: InputSpec) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.size, config.dim)
        self.output_dim = self.places_dim = config.dim

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        return Ragged(self.embedding(inputs.values), inputs.offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        rows = torch.repeat_interleave(torch.arange(len(places)), places.lengths)
        return places.values.new_zeros(len(places), self.output_dim).index_add(0, rows, places.values)

    @property
    def token_embedding(self) -> nn.Module:
        return self.embedding


def train(folder: Path) -> None:
    """Train by the name of the architecture, load the run again, and write what was found."""
    models.MODELS += (Architecture("bag", frozenset({TensorKind.TOKENS}), BagConfig, Bag),)

    import luban  # the table is read from here on

    rows = pl.DataFrame({"text": [f"{WORDS[row % 2]} word{row % 7}" for row in range(80)], "y": list("+-") * 40})
    settings = {
        "data": {"columns": {"text": "text"}},
        "train": {"epochs": 8, "batch_size": 8, "preflight": False, "optim": {"learning_rate": 0.05}},
        "runs": str(folder),
        "device": "cpu",
    }
    by_name = luban.train(rows, target="y", quiet=True, model="bag", **settings)
    by_setting = luban.train(
        rows, target="y", quiet=True, model={"tokens": {"architecture": "bag", "dim": 3}, "hidden": []}, **settings
    )
    loaded = luban.load(by_setting.directory.path)
    found = {
        "right": (by_name.predict(rows)["predicted_y"] == rows["y"]).mean(),
        "encoder": type(loaded.predictor.network.encoder("text")).__name__,
        "dims": [each.predictor.network.encoder("text").output_dim for each in (by_name, loaded)],
        "same": loaded.predict(rows).equals(by_setting.predict(rows)),
    }
    (folder / "found.json").write_text(json.dumps(found), "utf-8")


def test_an_architecture_of_one_s_own_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found == {"right": 1.0, "encoder": "Bag", "dims": [16, 3], "same": True}


def test_it_needs_no_other_line() -> None:
    assert "bag" not in {row.name for row in models.MODELS}


if __name__ == "__main__":
    train(Path(sys.argv[1]))
