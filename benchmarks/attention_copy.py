"""Whether attention from scratch learns to copy: `python benchmarks/attention_copy.py`, five seeds of each network.

The example's network of Luban, the same one with the initialisation of BERT and GPT-2, and `nn.TransformerEncoder` as
torch initialises it take the same batches and the same optimizer. The scores are on rows that are not trained on.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import results
from luban.core.tensors import Ragged
from luban.models.transformer import TransformerConfig, TransformerEncoder

WIDTH, HEADS, LAYERS, DROPOUT = 128, 8, 2, 0.1
ROWS, BATCH, RATE, DECAY, WARMUP = 1600, 32, 2e-3, 0.05, 0.1
BERT_STD = 0.02


class Ours(nn.Module):
    """Luban's Transformer and a head: (B, T) -> (B, classes)."""

    def __init__(self, words: int, length: int, classes: int) -> None:
        super().__init__()
        config = TransformerConfig(
            layers=LAYERS, width=WIDTH, heads=HEADS, dropout=DROPOUT, vocab_size=words, max_positions=length
        )
        self.encoder, self.head = TransformerEncoder(config), nn.Linear(WIDTH, classes)

    def forward(self, ids: Tensor) -> Tensor:
        offsets = torch.arange(0, ids.numel() + 1, ids.shape[1])
        return self.head(self.encoder(Ragged(ids.reshape(-1), offsets)))


class OursAsBert(Ours):
    """The same with weights of one standard deviation, whatever the width."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        for name, module in self.encoder.named_modules():
            if isinstance(module, nn.Linear):
                adds_up = name.endswith(("attention.out", "ffn.down"))
                nn.init.normal_(module.weight, std=BERT_STD / (2 * LAYERS) ** 0.5 if adds_up else BERT_STD)


class Torchs(nn.Module):
    """The same layers of torch, as torch initialises them."""

    def __init__(self, words: int, length: int, classes: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(words, WIDTH), nn.Embedding(length, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, DROPOUT, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.layers(self.tokens(ids) + self.positions.weight)
        return self.head(hidden.mean(1))


NETWORKS: dict[str, Callable[..., nn.Module]] = {"luban": Ours, "luban-bert": OursAsBert, "torch": Torchs}


def train(make: Callable[..., nn.Module], seed: int, epochs: int, ids: Tensor, targets: Tensor) -> list[float]:
    """Return the accuracy on the rows behind the first ROWS after each epoch."""
    torch.manual_seed(seed)
    network, order = make(int(ids.max()) + 1, ids.shape[1], int(targets.max()) + 1), np.random.default_rng(seed)
    groups = [{"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": DECAY}]
    groups.append({"params": [p for p in network.parameters() if p.ndim == 1], "weight_decay": 0.0})
    optimizer, total, step, scores = torch.optim.AdamW(groups, lr=RATE, fused=True), epochs * ROWS // BATCH, 0, []
    for _ in range(epochs):
        network.train()
        for rows in np.split(order.permutation(ROWS), ROWS // BATCH):
            rise, fall = (step + 1) / (WARMUP * total), (step / total - WARMUP) / (1 - WARMUP)
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(rise, 0.5 * (1 + math.cos(math.pi * max(0.0, fall))))
            optimizer.zero_grad()
            F.cross_entropy(network(ids[rows]), targets[rows]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
        with torch.no_grad():
            found = network.eval()(ids[ROWS:]).argmax(1)
        scores.append(round(float((found == targets[ROWS:]).float().mean()), 4))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=results.RESULTS / "attention_copy.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table = pl.read_csv(results.ROOT / "examples" / "toy" / "copying.csv")
    words = table["text"].str.split(" ").explode().unique().sort().to_list()
    ids = torch.tensor([[words.index(word) for word in text.split()] for text in table["text"]])
    classes = table["word"].unique().sort().to_list()
    targets = torch.tensor([classes.index(word) for word in table["word"]])
    entry = results.new_entry(options.threads)
    for name, make in NETWORKS.items():
        runs: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            runs.append({"seed": seed, "accuracy_by_epoch": train(make, seed, options.epochs, ids, targets)})
            print(name, runs[-1], flush=True)
        entry["claims"][name] = {"runs": runs}
        results.record(options.output, entry)


if __name__ == "__main__":
    main()
