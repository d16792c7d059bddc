"""What Luban's training and Lightning's differ in on CIFAR-10: `python benchmarks/cifar10_bisect.py`.

Both programs start from the same weights and take the same batches, mirrored alike; then Lightning's takes over what
Luban does otherwise, one difference at a time, until the two agree step by step. The scores are on rows of the training
file that neither program trains on.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import pictures

import harness
import luban_side
import results

DIFFERENCES = ("pixels", "decay", "pool")  # what Lightning's side takes over, in this order
PROGRAMS = ("luban", "lightning", *DIFFERENCES, "all")
RATE, DECAY, CLIP, BATCH = 2e-3, 0.02, 1.0, 128
EVALUATED = 512  # images at once


class Given:
    """What both programs are given: weights by seed, batches by seed and epoch, and which images are mirrored."""

    def __init__(self, seed: int, rows: int, weights: list[Tensor]) -> None:
        self.seed, self.rows, self.weights = seed, rows, weights

    def batches(self, epoch: int) -> list[Any]:
        """Return the positions of each batch of an epoch, from 1."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        return [order[start : start + BATCH] for start in range(0, self.rows, BATCH)]

    def load(self, network: nn.Module) -> None:
        """Give a network the weights, by their order."""
        state = network.state_dict()
        assert len(state) == len(self.weights)
        network.load_state_dict(dict(zip(state, self.weights, strict=True)))


def mirrored(seed: int, step: int, count: int) -> Tensor:
    """Return which images of a step are mirrored (count,), as Luban draws them."""
    from luban.core.runtime import generator
    from luban.training.step import MAX_PARTS

    return torch.randint(2, (count,), generator=generator(seed, "augment", step * MAX_PARTS)).bool()


def luban(given: Given, options: argparse.Namespace, data: Path) -> dict[str, Any]:
    """Train with Luban's own command, whose loop is handed the weights and the batches."""
    from luban.training import fit

    found: dict[str, Any] = {"losses": []}

    class Handed(fit.Loop):
        def begin(self) -> None:
            given.load(self.network)
            super().begin()
            assert len(self.train) == given.rows, "a row was set aside"

        def batches(self, epoch: int) -> list[Any]:
            return given.batches(epoch) if epoch else []

    def listen(event: Any) -> None:
        if type(event).__name__ == "StepDone":
            found["losses"].append(event.loss)
        if type(event).__name__ == "TrainingEnded":
            found["network"] = loops[-1].network

    loops: list[Any] = []

    def made(**arguments: Any) -> Any:
        loops.append(Handed(**arguments))
        return loops[-1]

    original, fit.Loop = fit.Loop, made
    try:
        with tempfile.TemporaryDirectory() as folder:
            job = job_of(given, options, data, Path(folder))
            luban_side.watch(luban_side.settings(job), listen)
    finally:
        fit.Loop = original
    return found


def job_of(given: Given, options: argparse.Namespace, data: Path, folder: Path) -> dict[str, Any]:
    from cifar10 import CLAIM

    return {
        "luban": CLAIM.luban,
        **CLAIM.shared,
        "train": str(data / "train.parquet"),
        "test": str(data / "held_out.parquet"),
        "target": "label",
        "model": None,
        "epochs": options.epochs,
        "seed": given.seed,
        "device": "cpu",
        "work": str(folder),
        "luban_set": {"train.compile": False, "train.precision": "float32"},
    }


def lightning(given: Given, options: argparse.Namespace, images: Tensor, labels: Tensor, taken: tuple[str, ...]) -> Any:
    """Train with Lightning's program; taken: the differences in which it does as Luban does."""
    import lightning as framework
    from lightning_cifar10 import ResNet
    from torch.utils.data import DataLoader, TensorDataset

    found: dict[str, Any] = {"losses": []}
    scale, shift = 1 / 63.75, 2.0
    if "pixels" in taken:
        pixels = images.double().movedim(1, 0).flatten(1) / 255
        std, mean = pixels.std(1, correction=0), pixels.mean(1)
        scale = (1 / (255 * std)).float()[:, None, None]
        shift = (mean / std).float()[:, None, None]

    class Changed(ResNet):
        def forward(self, batch: Tensor) -> Tensor:
            return self.layers((batch.float() * scale - shift).contiguous(memory_format=torch.channels_last))

        def training_step(self, batch: Any, index: int) -> Tensor:
            chosen = mirrored(given.seed, self.trainer.global_step, len(batch[0]))[:, None, None, None]
            loss = self.loss_function(self(torch.where(chosen, batch[0].flip(-1), batch[0])), batch[1])
            found["losses"].append(float(loss))
            return loss

        def configure_optimizers(self) -> Any:
            made = super().configure_optimizers()
            if "decay" in taken:
                spared = [p for p in self.parameters() if p.ndim < 2]
                group = made["optimizer"].param_groups[0]
                group["params"] = [p for p in self.parameters() if p.ndim >= 2]
                made["optimizer"].add_param_group({"params": spared, "weight_decay": 0.0})
                made["lr_scheduler"]["scheduler"] = torch.optim.lr_scheduler.CosineAnnealingLR(
                    made["optimizer"], int(self.trainer.estimated_stepping_batches)
                )
            return made

    class Batches:
        epoch = 0

        def __len__(self) -> int:
            return len(given.batches(1))

        def __iter__(self) -> Iterator[Any]:
            self.epoch += 1
            return iter([batch.tolist() for batch in given.batches(self.epoch)])

    model = Changed({"learning_rate": RATE, "weight_decay": DECAY, "precision": "32-true"})
    given.load(model)
    if "pool" in taken:
        pooled = next(i for i, layer in enumerate(model.layers) if isinstance(layer, nn.AdaptiveMaxPool2d))
        model.layers[pooled] = Maximum()
    trainer = framework.Trainer(
        max_epochs=options.epochs,
        accelerator="cpu",
        gradient_clip_val=CLIP,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(TensorDataset(images, labels), batch_sampler=Batches()))
    return found | {"network": model}


class Maximum(nn.Module):
    """The maximum over the map, with gradients shared among equal values: (B, C, H, W) -> (B, C, 1, 1)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.amax((2, 3), keepdim=True)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, prepare: Any) -> float:
    network.eval()
    with torch.no_grad():
        parts = [prepare(network, images[i : i + EVALUATED]).argmax(1) for i in range(0, len(images), EVALUATED)]
    return float((torch.cat(parts) == labels).float().mean())


def read(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write the two files that the programs read; return the decoded images and the labels of each."""
    source = pl.read_parquet(Path(options.data, "cifar10", "train.parquet"))
    mixed = source.unique("image", maintain_order=True).sample(fraction=1, shuffle=True, seed=0)
    frame = mixed.head(options.rows + options.held_out)
    frame.head(options.rows).write_parquet(folder / "train.parquet")
    frame.tail(options.held_out).write_parquet(folder / "held_out.parquet")
    names = np.unique(frame["label"].to_numpy())
    found = {}
    for role, part in (("train", frame.head(options.rows)), ("held_out", frame.tail(options.held_out))):
        images = np.stack([pictures.decode(content) for content in part["image"].to_list()])
        labels = torch.from_numpy(np.searchsorted(names, part["label"].to_numpy()))
        found[role] = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--held-out", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--programs", nargs="+", default=PROGRAMS, choices=PROGRAMS)
    parser.add_argument("--data", default=harness.HERE.parent / "examples" / "data", help="the folder of the data sets")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=results.RESULTS / "cifar10_bisect.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    from lightning_cifar10 import ResNet

    entry = results.new_entry(options.threads)
    runs = entry["claims"].setdefault(f"{options.rows} rows, {options.epochs} epochs", {"runs": []})["runs"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUBAN_CACHE"] = str(Path(folder, "cache"))
        data = read(options, Path(folder))
        for seed in range(options.seeds):
            torch.manual_seed(seed)
            job = {"learning_rate": RATE, "weight_decay": DECAY, "precision": "32-true"}
            given = Given(seed, options.rows, [value.clone() for value in ResNet(job).state_dict().values()])
            for program in options.programs:
                if program == "luban":
                    from luban.core.tensors import only

                    found = luban(given, options, Path(folder))
                    images = data["train"][0].double().movedim(1, 0).flatten(1) / 255
                    mean, std = (x.float()[:, None, None] for x in (images.mean(1), images.std(1, correction=0)))
                    name = found["network"].names[0]

                    def prepare(network: Any, batch: Tensor, name: str = name, mean: Any = mean, std: Any = std) -> Any:
                        return only(network({name: (batch.float() / 255 - mean) / std}))
                else:
                    taken = {"lightning": (), "all": DIFFERENCES}.get(program, (program,))
                    found = lightning(given, options, *data["train"], taken)

                    def prepare(network: Any, batch: Tensor) -> Any:
                        return network(batch)

                score = accuracy(found["network"], *data["held_out"], prepare)
                run = {"seed": seed, "program": program, "accuracy": score, "losses": found["losses"][:5]}
                runs.append(run | {"last_loss": float(np.mean(found["losses"][-20:]))})
                print(runs[-1], flush=True)
                results.record(options.output, entry)


if __name__ == "__main__":
    main()
