"""The whole network: an encoder for each input, their vectors joined, a head for each output."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from luban.core.errors import ConfigError, listed
from luban.core.tensors import Columns, InputSpec, OutputSpec, Ragged, absence
from luban.models.base import Encoder
from luban.models.choice import ARCHITECTURES, AnyModel, NetworkConfig
from luban.models.dropout import Dropout
from luban.models.fusion import FUSIONS, PLAIN, FusionName
from luban.models.heads import HEADS
from luban.models.heads.base import Places, States, Widths
from luban.models.lookup import can_look_up_together, look_up
from luban.models.mlp import MLP, Activation, CategoryEmbedding
from luban.models.pretrained import PretrainedConfig

OF_ROWS = frozenset({"fused", "nothing"})  # what heads read that joined vectors decide alone
OF_VECTORS = frozenset({"fused", "vector"})  # what heads read that is made of one vector an input


class NetworkSpec(BaseModel):
    """All that is needed to build the network again, with no data and no checkpoint at hand.

    precision: in which it was trained, and predicts unless the machine has to emulate it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: tuple[InputSpec, ...]
    encoders: dict[str, AnyModel]
    hidden: tuple[PositiveInt, ...]
    activation: Activation
    dropout: float = Field(ge=0, lt=1)
    outputs: Annotated[tuple[OutputSpec, ...], Field(min_length=1)]
    precision: Literal["float32", "bfloat16"] = "float32"
    fusion: FusionName = PLAIN

    @property
    def is_linear(self) -> bool:
        """Whether nothing stands between the joined vectors and the heads."""
        return not self.hidden and self.fusion == PLAIN

    @property
    def of_rows(self) -> bool:
        """Whether the joined vectors of a row decide all outputs."""
        return reads(self.outputs) <= OF_ROWS

    def narrowed(self, names: Collection[str]) -> Self:
        """Return the specification with the outputs of these names alone."""
        return self.model_copy(update={"outputs": tuple(item for item in self.outputs if item.name in names)})

    @property
    def backbones(self) -> list[str]:
        """The inputs whose encoder is pretrained."""
        return [name for name, config in self.encoders.items() if isinstance(config, PretrainedConfig)]

    @property
    def frozen(self) -> list[str]:
        """The inputs whose encoder is pretrained and stays as it is."""
        return [name for name in self.backbones if getattr(self.encoders[name], "frozen", False)]


def specify(config: NetworkConfig, specs: list[InputSpec], outputs: tuple[OutputSpec, ...]) -> NetworkSpec:
    """Bind a completed configuration to the inputs of a schema and to what a task asks for.

    Raises ConfigError where it would weigh inputs against each other and there is one alone, and where no
    output reads the hidden layers.
    """
    assert config.hidden is not None
    if config.hidden and "fused" not in reads(outputs):
        raise ConfigError(
            "model.hidden",
            expected="none, since no output of this task reads the joined inputs",
            found=str(list(config.hidden)),
            action="Leave it out",
        )
    if config.fusion != PLAIN and len(specs) < 2:
        raise ConfigError(
            "model.fusion",
            expected=f"several inputs that '{config.fusion}' can weigh",
            found=f"{len(specs)} ({listed([spec.name for spec in specs])})",
            action="Leave it out",
        )
    encoders = {spec.name: config.encoder(spec.kind) for spec in specs}
    return NetworkSpec.model_validate(
        {
            "inputs": tuple(specs),
            "encoders": encoders,
            "hidden": config.hidden,
            "activation": config.activation,
            "dropout": config.dropout,
            "outputs": outputs,
            "fusion": config.fusion,
        }
    )


def check_memory(spec: NetworkSpec, available: int | None) -> None:
    """Raise ConfigError where the weights alone are larger than the memory, before any of it is taken.

    available: bytes, None where the system does not tell.
    """
    try:
        with torch.device("meta"):
            size = sum(weight.numel() * weight.element_size() for weight in Network(spec).state_dict().values())
    except RuntimeError:  # more numbers than 64 bits can count
        size = 2**63
    if available is not None and size > available:
        raise ConfigError(
            "model",
            expected=f"a network that fits into the memory ({available / 1e9:,.1f} GB are free)",
            found=f"one whose weights take {size / 1e9:,.0f} GB",
            action="Make it narrower or give it fewer layers",
        )


def reads(outputs: Collection[OutputSpec]) -> set[str]:
    """Return what the heads of outputs need of a network."""
    return {HEADS[output.kind].reads for output in outputs}


def vector_name(input_name: str) -> str:
    """Under this name a batch may bring an input's encoded vector (B, D) in place of the input itself."""
    return f"{input_name} (encoded)"


class Network(nn.Module):
    """Inputs -> encoders -> joined vector (B, D) -> fusion -> hidden layers -> heads, one for each output."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.names = [item.name for item in spec.inputs]
        self.outputs = spec.outputs
        self._places = {name: place for place, name in enumerate(self.names)}
        self.unknown = {item.name: item.unknown for item in spec.inputs if any(item.unknown)}
        self.encoders = nn.ModuleList()
        for item in spec.inputs:
            chosen = spec.encoders[item.name]
            self.encoders.append(
                self.encoder(item.shares) if item.shares else ARCHITECTURES[chosen.architecture].build(chosen, item)
            )
        vectors = {name: self.encoder(name).output_dim for name in self.names}
        places = {output.of: self.encoder(output.of).places_dim for output in spec.outputs if output.of}
        parts = list(self.joined_widths.values())
        self.weighing = None if spec.fusion == PLAIN else FUSIONS[spec.fusion](parts)
        joined = sum(parts) if self.weighing is None else self.weighing.output_dim
        self.fusion = MLP(joined, spec.hidden, spec.activation, spec.dropout)
        self.dropout = Dropout(0.0 if spec.hidden else spec.dropout)
        widths = Widths(self.fusion.output_dim, vectors, places)
        self.heads = nn.ModuleList(HEADS[output.kind].build(output, widths) for output in spec.outputs)

    def narrowed(self, names: Collection[str]) -> Network:
        """Return the network with the outputs of these names alone; every weight is shared."""
        part = copy.copy(self)
        part._modules = dict(self._modules)
        pairs = [pair for pair in zip(self.outputs, self.heads, strict=True) if pair[0].name in names]
        part.outputs, part.heads = tuple(output for output, _ in pairs), nn.ModuleList(head for _, head in pairs)
        return part

    def encoder(self, name: str) -> Encoder:
        encoder = self.encoders[self._places[name]]
        assert isinstance(encoder, Encoder)
        return encoder

    @property
    def joined_widths(self) -> dict[str, int]:
        """The widths of the inputs' parts of a joined vector, by name, in their order: those of categories last."""
        order = sorted(self.names, key=lambda name: isinstance(self.encoder(name), CategoryEmbedding))
        return {name: self.encoder(name).output_dim for name in order}

    def fused(self, joined: Tensor) -> Tensor:
        """Return what the heads of whole rows read of joined vectors (B, D)."""
        weighed = joined if self.weighing is None else self.weighing(joined)
        return self.dropped(self.fusion(weighed))

    def encoder_prefix(self, name: str) -> str:
        """The prefix of the names of an encoder's parameters."""
        return f"encoders.{self._places[name]}."

    def join(self, inputs: Columns, known: dict[str, Tensor] | None = None) -> Tensor:
        """Return the encoders' vectors side by side, (B, D), those of categories last.

        known: vectors (B, D) that were computed already, by input.
        """
        vectors, given_last, ids = list[Tensor](), list[Tensor](), list[Tensor]()
        categories = list[CategoryEmbedding]()
        for name, encoder in zip(self.names, self.encoders, strict=True):
            given = inputs.get(vector_name(name)) if known is None or name not in known else known[name]
            if isinstance(given, Tensor):
                (given_last if isinstance(encoder, CategoryEmbedding) else vectors).append(given.float())
            elif isinstance(encoder, CategoryEmbedding):
                column = inputs[name]
                assert isinstance(column, Tensor)
                ids.append(column)
                categories.append(encoder)
            else:
                vectors.append(_present(encoder(inputs[name]).float(), inputs.get(absence(name))))
        assert not (given_last and ids), "all categories are brought as vectors, or none is"
        vectors += given_last
        tables = [encoder.embedding.weight for encoder in categories]
        if self.training and can_look_up_together(ids, tables):
            vectors.append(look_up(ids, tables))
        else:  # through the modules, since whoever explains or traces a network listens to them
            vectors += [encoder(column) for encoder, column in zip(categories, ids, strict=True)]
        return torch.cat(vectors, dim=1)

    def forward(self, inputs: Columns) -> Columns:
        """Return the outputs by name."""
        return self.read(self.states(inputs))

    def states(self, inputs: Columns) -> States:
        """Return what the heads read, each encoder run once."""
        needed = reads(self.outputs)
        if needed <= OF_ROWS:
            return States(self.fused(self.join(inputs)))
        vectors, places = dict[str, Tensor](), dict[str, Places]()
        for name in dict.fromkeys(output.of for output in self.outputs if output.of):
            encoder = self.encoder(name)
            states = encoder.places(inputs[name])
            places[name] = _dropped(states, self.dropout)
            if needed & OF_VECTORS:
                vectors[name] = _present(encoder.pool(states).float(), inputs.get(absence(name)))
        fused = self.fused(self.join(inputs, vectors)) if "fused" in needed else None
        return States(fused, vectors, places)

    def dropped(self, fused: Tensor) -> Tensor:
        """Return fused vectors (B, D) as the heads take them."""
        kept: Tensor = self.dropout(fused)
        return kept

    def read(self, states: States) -> Columns:
        """Return what the heads make of states, by name."""
        return {output.name: head(states) for output, head in zip(self.outputs, self.heads, strict=True)}

    def from_joined(self, joined: Tensor) -> Columns:
        """Return the outputs that joined vectors (B, D) decide alone: those of whole rows."""
        return self.read(States(self.fused(joined)))


def _present(vectors: Tensor, absent: Tensor | Ragged | None) -> Tensor:
    """Return vectors (B, D), zero in the rows that lack the input, as those of rows without tokens are."""
    return vectors.masked_fill(absent[:, None], 0.0) if isinstance(absent, Tensor) else vectors


def _dropped(places: Places, dropout: nn.Module) -> Places:
    return Ragged(dropout(places.values), places.offsets) if isinstance(places, Ragged) else dropout(places)
