"""Everything that a training is made of at one moment, as tensors and counters, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from luban.core.sentence import PARTS, restored, with_parts
from luban.training.averaging import WeightAverage
from luban.training.checkpoint import Checkpoint, Tensors
from luban.training.combined import Combined
from luban.training.optim_state import load_state_tensors, state_tensors
from luban.training.recovery import LossWatch, Recovery

NETWORK, AVERAGE = "network/", "average/"


@dataclass
class Progress:
    """Where a training stands. epoch: the one under way; batch: how many of its batches are done; step: of all.

    best_score: as epochs are ranked. parts: that a batch goes in. seconds: of training so far. ended: why it is over.
    """

    epoch: int = 1
    batch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: tuple[float, float] | None = None
    parts: int = 1
    seconds: float = 0.0
    ended: str = ""
    recovery: Recovery = field(default_factory=Recovery)
    watch: LossWatch = field(default_factory=LossWatch)

    def to_json(self) -> dict[str, Any]:
        return with_parts(asdict(self))

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Progress:
        state, score = dict(state), state["best_score"]
        state["ended"] = restored(state["ended"], state.pop(f"ended{PARTS}", None))
        nested = {"recovery": Recovery(**state["recovery"]), "watch": LossWatch(**state["watch"])}
        return cls(**{**state, "best_score": None if score is None else (score[0], score[1]), **nested})


def trained_weights(network: nn.Module) -> Tensors:
    """Return copies of what training changes: weights that are trained, and buffers."""
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    trained |= {name for name, _ in network.named_buffers()}
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items() if name in trained}


def capture(network: nn.Module, optimizer: Combined, average: WeightAverage | None) -> Tensors:
    """Return all tensors of a checkpoint, by name."""
    tensors = {NETWORK + name: value for name, value in trained_weights(network).items()}
    tensors |= state_tensors(optimizer, network)
    if average is not None:
        tensors |= {AVERAGE + name: value for name, value in average.tensors().items()}
    return tensors


def restore(found: Checkpoint, network: nn.Module, optimizer: Combined, average: WeightAverage | None) -> None:
    """Put the tensors of a checkpoint back where they were captured."""
    network.load_state_dict(_under(NETWORK, found.tensors), strict=False)
    load_state_tensors(optimizer, network, found.tensors)
    if average is not None:
        average.load(_under(AVERAGE, found.tensors))


def _under(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
