"""Everything that a training is made of at one moment, as tensors and counters, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from luban.core.errors import ArtifactError
from luban.core.sentence import restored, sentence, with_parts
from luban.core.strict import Finite
from luban.core.weights import difference
from luban.training.checkpoint import Checkpoint, Tensors
from luban.training.optim.averaging import WeightAverage
from luban.training.optim.combined import Combined
from luban.training.optim.state import load_state_tensors, state_tensors
from luban.training.recovery import FIRST, TRIES, WINDOW, LossWatch, Recovery

NETWORK, AVERAGE = "network/", "average/"


@dataclass
class Progress:
    """Where a training stands. epoch: the one under way; batch: how many of its batches are done; step: of all.

    best_epoch, best_step: of the best weights; stale: validations since. best_score: as epochs are ranked. parts: that
    a batch goes in. seconds: of training so far. ended: why it is over.
    """

    epoch: int = 1
    batch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_step: int = 0
    stale: int = 0
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
        """Return the counters of a checkpoint. Raises ValueError where they are not what `to_json` makes."""
        try:
            stored = _Stored.model_validate(state)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ValueError(sentence("resume.counter", "its counter '{name}' is none", name=name)) from error
        ended = restored(stored.ended, None if stored.ended_parts is None else stored.ended_parts.model_dump())
        recovery, watch = Recovery(**stored.recovery.model_dump()), LossWatch(**stored.watch.model_dump())
        counters = stored.model_dump(exclude={"ended_parts", "ended", "recovery", "watch"})
        return cls(**counters, ended=ended, recovery=recovery, watch=watch)


Count = Annotated[int, Field(ge=0, le=2**53)]
PARSED = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Parts(BaseModel):
    model_config = PARSED

    id: str
    values: dict[str, Any]


class _Recovery(BaseModel):
    model_config = PARSED

    tries: int = Field(ge=0, le=TRIES)
    rate_scale: float = Field(gt=0, le=1)
    skipped: list[Count] = Field(max_length=TRIES)


class _Watch(BaseModel):
    model_config = PARSED

    chance: Finite
    first: list[Finite] = Field(max_length=FIRST)
    window: list[Finite] = Field(max_length=WINDOW)


class _Stored(BaseModel):
    """`Progress` as a checkpoint holds it, with bounds."""

    model_config = PARSED

    epoch: Count
    batch: Count
    step: Count
    best_epoch: Count
    best_step: Count = 0
    stale: Count = 0
    best_score: Annotated[tuple[Finite, Finite], Field(strict=False)] | None
    parts: int = Field(ge=1, le=2**53)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    ended: str
    ended_parts: _Parts | None = None
    recovery: _Recovery
    watch: _Watch


def trained_weights(network: nn.Module, *, copied: bool = True) -> Tensors:
    """Return what training changes, copied to the host: weights that are trained, and buffers."""
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    trained |= {name for name, _ in network.named_buffers()}
    found = {name: value.detach() for name, value in network.state_dict().items() if name in trained}
    return {name: value.cpu().clone() for name, value in found.items()} if copied else found


def capture(network: nn.Module, optimizer: Combined, average: WeightAverage | None) -> Tensors:
    """Return all tensors of a checkpoint, by name."""
    tensors = {NETWORK + name: value for name, value in trained_weights(network).items()}
    tensors |= state_tensors(optimizer, network)
    if average is not None:
        tensors |= {AVERAGE + name: value for name, value in average.tensors().items()}
    return tensors


def restore(found: Checkpoint, network: nn.Module, optimizer: Combined, average: WeightAverage | None) -> None:
    """Put the tensors of a checkpoint back where they were captured.

    Raises ArtifactError where they are of another network, optimizer or average; nothing is changed then.
    """
    own = trained_weights(network, copied=False)
    _require_like(_under(NETWORK, found.tensors), own, "weights")
    _require_like(found.best or own, own, "best weights")
    if average is not None:
        _require_like(_under(AVERAGE, found.tensors), average.tensors(), "averages")
    load_state_tensors(optimizer, network, found.tensors)
    network.load_state_dict(_under(NETWORK, found.tensors), strict=False)
    if average is not None:
        average.load(_under(AVERAGE, found.tensors))


def _require_like(found: Tensors, own: Tensors, what: str) -> None:
    unlike = difference(own, found)
    if unlike is not None:
        raise ArtifactError(
            f"the saved {what}, '{unlike[0]}'",
            expected=unlike[1],
            found=unlike[2],
            action="Resume with the settings and the data that the run was started with, or start again",
        )


def _under(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
