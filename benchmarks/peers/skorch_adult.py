"""skorch on the Adult table: `NeuralNetClassifier.fit` on arrays in memory, with no validation split and no log."""

from __future__ import annotations

import census
import torch
from side import Stopwatch, answer, read_job
from skorch import NeuralNetClassifier
from torch import Tensor, nn


class Dense(nn.Module):
    """Embedded categories beside the numbers, dense layers with dropout, logits."""

    def __init__(self, numbers: int, sizes: list[int], hidden: list[int], dropout: float, classes: int) -> None:
        super().__init__()
        dims = [census.embedding_dim(size) for size in sizes]
        self.embeddings = nn.ModuleList(nn.Embedding(size, dim) for size, dim in zip(sizes, dims, strict=True))
        widths = [numbers + sum(dims), *hidden]
        layers: list[nn.Module] = []
        for width_in, width_out in zip(widths[:-1], hidden, strict=True):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, numbers: Tensor, ids: Tensor) -> Tensor:
        embedded = [embedding(column) for embedding, column in zip(self.embeddings, ids.unbind(1), strict=True)]
        return self.layers(torch.cat([numbers, *embedded], dim=1))


def main() -> None:
    job = read_job()
    stopwatch = Stopwatch()
    torch.manual_seed(job["seed"])
    rows, test_rows, sizes, classes = census.read(job["train"], job["test"], job["target"])
    net = NeuralNetClassifier(
        Dense,
        module__numbers=rows.numbers.shape[1],
        module__sizes=sizes,
        module__hidden=job["hidden"],
        module__dropout=job["dropout"],
        module__classes=classes,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=job["learning_rate"],
        batch_size=job["batch_size"],
        max_epochs=job["epochs"],
        iterator_train__shuffle=True,
        train_split=None,
        callbacks__print_log=None,
    )
    stopwatch.stage("prepare")
    net.fit({"numbers": rows.numbers, "ids": rows.ids}, rows.labels)
    stopwatch.stage("train")
    predicted = net.predict({"numbers": test_rows.numbers, "ids": test_rows.ids})
    stopwatch.stage("evaluate")
    accuracy = float((predicted == test_rows.labels).mean())
    answer(stopwatch, ("skorch", "torch"), scores={"accuracy": accuracy}, rows=len(rows.labels))


if __name__ == "__main__":
    main()
