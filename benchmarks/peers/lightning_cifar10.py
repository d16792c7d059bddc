"""Lightning on CIFAR-10: images decoded once into memory, nothing logged or saved while it trains."""

from __future__ import annotations

import warnings
from typing import Any

import lightning
import pictures
import torch
from side import Stopwatch, answer, read_job
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


def conv(channels_in: int, channels_out: int, *, pool: bool = False) -> nn.Sequential:
    pooling = [nn.MaxPool2d(2, ceil_mode=True)] if pool else []
    layers = [nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), *pooling]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(channels, channels), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResNet(lightning.LightningModule):
    """The residual network of luban/models/cnn.py: 16, 64 + block, 128 + block, 256 channels, maximum over the map."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__()
        self.job = job
        self.layers = nn.Sequential(
            conv(3, 16),
            *(conv(16, 64, pool=True), Residual(64), conv(64, 128, pool=True), Residual(128)),
            *(conv(128, 256, pool=True), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(256, 10)),
        ).to(memory_format=torch.channels_last)
        self.loss_function = nn.CrossEntropyLoss()

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.float() / 63.75 - 2.0).contiguous(memory_format=torch.channels_last)
        return self.layers(pixels)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
        return self.loss_function(self(torch.where(mirrored, images.flip(-1), images)), labels)

    def predict_step(self, batch: list[Tensor]) -> Tensor:
        return self(batch[0])

    def configure_optimizers(self) -> dict[str, Any]:
        rate, decay = self.job["learning_rate"], self.job["weight_decay"]
        # Lightning clips no gradients for a fused optimizer in mixed precision.
        kind = "fused" if self.job["precision"] == "32-true" else "foreach"
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=decay, **{kind: True})
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def tensors(images: pictures.Array, labels: pictures.Array) -> TensorDataset:
    return TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels))


def main() -> None:
    job = read_job()
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # rows in memory need none
    stopwatch = Stopwatch()
    lightning.seed_everything(job["seed"], verbose=False)
    train_set, test_set = (tensors(*part) for part in pictures.read(job))
    model = ResNet(job)
    trainer = lightning.Trainer(
        max_epochs=job["epochs"],
        accelerator=job["device"],
        precision=job["precision"],
        gradient_clip_val=job["clip_norm"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    stopwatch.stage("prepare")
    trainer.fit(model, DataLoader(train_set, job["batch_size"], shuffle=True))
    stopwatch.stage("train")
    predicted = torch.cat(trainer.predict(model, DataLoader(TensorDataset(test_set.tensors[0]), 512))).argmax(1)
    accuracy = float((predicted == test_set.tensors[1]).float().mean())
    stopwatch.stage("evaluate")
    answer(stopwatch, ("lightning", "torch"), scores={"accuracy": accuracy}, rows=len(train_set))


if __name__ == "__main__":
    main()
