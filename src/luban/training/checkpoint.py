"""The best weights so far, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from luban.core import artifact


class BestWeights:
    """Keeps the trainable weights of the best epoch; with a folder, also as a safetensors file in it."""

    def __init__(self, network: nn.Module, folder: Path | None) -> None:
        self.network, self.folder = network, folder
        self.weights: dict[str, torch.Tensor] = {}

    def keep(self) -> None:
        """Remember the network as it is now. Raises ArtifactError where the disk is full."""
        trained = {name for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        trained |= {name for name, _ in self.network.named_buffers()}
        state = self.network.state_dict()
        self.weights = {name: state[name].detach().clone() for name in state if name in trained}
        if self.folder is not None:
            with artifact.disk_errors(self.folder):
                self.folder.mkdir(exist_ok=True)
            artifact.write_weights(self.folder / "best.safetensors", self.weights)

    def restore(self) -> None:
        """Put the best weights back into the network."""
        self.network.load_state_dict(self.weights, strict=False)

    def clear(self) -> None:
        """Remove the file: the finished run holds the same weights."""
        if self.folder is not None:
            (self.folder / "best.safetensors").unlink(missing_ok=True)
            self.folder.rmdir()
