"""A plain torch loop over a DataLoader, as tutorials have it: images decoded each time, or once into memory."""

from __future__ import annotations

import os

import numpy as np
import pictures
import torch
from side import Stopwatch, answer, read_job
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Images(Dataset[tuple[Tensor, int]]):
    """Decodes an image whenever it is asked for."""

    def __init__(self, files: list[bytes], labels: pictures.Array) -> None:
        self.files, self.labels = files, labels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = torch.from_numpy(pictures.decode(self.files[index]).astype(np.float32) / 255)
        return pixels[None], int(self.labels[index])


def in_memory(images: pictures.Array, labels: pictures.Array) -> TensorDataset:
    return TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2) / 255, torch.from_numpy(labels))


def main() -> None:
    job = read_job()
    stopwatch = Stopwatch()
    torch.manual_seed(job["seed"])
    once = job["decode"] == "once"
    read, make = (pictures.read, in_memory) if once else (pictures.encoded, Images)
    train_set, test_set = (make(*part) for part in read(job))
    workers = {} if once else {"num_workers": min(job["threads"], os.cpu_count() or 1), "persistent_workers": True}
    loader = DataLoader(train_set, job["batch_size"], shuffle=True, **workers)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=job["learning_rate"], fused=True)
    loss_function = nn.CrossEntropyLoss()
    stopwatch.stage("prepare")
    for _ in range(job["epochs"]):
        for images, labels in loader:
            optimizer.zero_grad()
            loss_function(model(images), labels).backward()
            optimizer.step()
    stopwatch.stage("train")
    model.eval()
    with torch.inference_mode():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in DataLoader(test_set, 512))
    stopwatch.stage("evaluate")
    answer(stopwatch, ("torch",), scores={"accuracy": right / len(test_set)}, rows=len(train_set))


if __name__ == "__main__":
    main()
