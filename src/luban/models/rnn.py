"""Recurrent networks: LSTM (Hochreiter & Schmidhuber, 1997) and GRU (Cho et al., 2014).

Legend: B rows · N packed tokens or frames · T time · D width.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from luban.core.settings import MOST_LAYERS, Probability, Width
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.base import Encoder, EncoderConfig
from luban.models.dropout import Dropout

Cell = Literal["lstm", "gru"]
Pooling = Literal["last", "mean", "max"]


class RNNConfig(EncoderConfig):
    """An LSTM or GRU over tokens or frames.

    dim: width of a token's embedding, or that frames are projected to. hidden: width of each direction. pooling: the
    last state of each direction, or the mean or maximum over time. dropout: on the input of each layer and on the
    pooled vector.
    """

    architecture: Cell = "lstm"
    dim: Width = 128
    hidden: Width = 128
    layers: int = Field(default=1, ge=1, le=MOST_LAYERS)
    bidirectional: bool = True
    dropout: Probability = 0.2
    pooling: Pooling = "max"


class RNNEncoder(Encoder):
    """TOKENS (N,) or (N, 2), of which the first column counts, or FRAMES (N, D) -> (B, output_dim).

    A row of length 0 gives zeros, and a row's vector does not depend on the others. Rows are padded here, and a
    direction is a network of its own that reads reversed rows: on a CPU the fused kernels for this are two to six
    times as fast as those for a PackedSequence.
    """

    def __init__(self, config: RNNConfig, spec: InputSpec) -> None:
        super().__init__()
        self.embedding: nn.Module
        self.takes_tokens = spec.kind is TensorKind.TOKENS
        if self.takes_tokens:
            self.embedding = nn.Embedding(spec.size, config.dim)
            nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        else:
            self.embedding = nn.Linear(spec.size, config.dim)
        num_directions = 2 if config.bidirectional else 1
        self.output_dim = self.places_dim = config.hidden * num_directions
        widths = [config.dim] + [self.output_dim] * (config.layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(recurrence(config.architecture, width, config.hidden) for _ in range(num_directions))
            for width in widths
        )
        self.hidden, self.pooling = config.hidden, config.pooling
        self.dropout = Dropout(config.dropout)

    def forward(self, inputs: Tensor | Ragged) -> Tensor:  # as pool(places(inputs)), padded once
        assert isinstance(inputs, Ragged)
        x_ND = self.embedded(inputs)
        lengths_B = inputs.lengths[inputs.lengths > 0]
        if not len(lengths_B):
            return x_ND.new_zeros(len(inputs), self.output_dim)
        return self._pooled(self.states(padded(x_ND, lengths_B), lengths_B), inputs.lengths)

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        x_ND = self.embedded(inputs)
        lengths_B = inputs.lengths[inputs.lengths > 0]
        if not len(lengths_B):
            return Ragged(x_ND.new_zeros(0, self.places_dim), inputs.offsets)
        states_TBD = self.states(padded(x_ND, lengths_B), lengths_B)
        filled_BT = torch.arange(len(states_TBD)) < lengths_B[:, None]
        return Ragged(states_TBD.transpose(0, 1)[filled_BT.to(states_TBD.device)], inputs.offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        lengths_B = places.lengths[places.lengths > 0]
        if not len(lengths_B):
            return places.values.new_zeros(len(places), self.output_dim)
        return self._pooled(padded(places.values, lengths_B), places.lengths)

    def embedded(self, inputs: Ragged) -> Tensor:
        """Return the vectors (N, dim) of tokens or frames."""
        values = inputs.values[:, 0] if self.takes_tokens and inputs.values.ndim == 2 else inputs.values
        x_ND: Tensor = self.embedding(values)
        return x_ND

    def _pooled(self, states_TBD: Tensor, lengths: Tensor) -> Tensor:
        """Reduce the states of the rows that have any; lengths: (rows,) of all."""
        filled = lengths.nonzero()[:, 0]
        pooled_BD: Tensor = self.dropout(self.reduced(states_TBD, lengths[filled].to(states_TBD.device)))
        out_BD = pooled_BD.new_zeros(len(lengths), self.output_dim)
        return out_BD.index_copy(0, filled.to(states_TBD.device), pooled_BD)

    @property
    def token_embedding(self) -> nn.Module:
        return self.embedding

    def states(self, x_TBD: Tensor, lengths_B: Tensor) -> Tensor:
        """Return the last layer's states (T, B, output_dim), both directions in the order of time."""
        time_T1 = torch.arange(len(x_TBD))[:, None]
        mirror_TB1 = torch.where(time_T1 < lengths_B, lengths_B - 1 - time_T1, time_T1)[:, :, None].to(x_TBD.device)
        for directions in self.layers:
            x_TBD = self.dropout(x_TBD)
            assert isinstance(directions, nn.ModuleList)
            outputs = [run(directions[0], x_TBD)]
            if len(directions) == 2:
                backward_TBD = run(directions[1], x_TBD.gather(0, mirror_TB1.expand_as(x_TBD)))
                outputs.append(backward_TBD.gather(0, mirror_TB1.expand_as(backward_TBD)))
            x_TBD = torch.cat(outputs, dim=2)
        return x_TBD

    def reduced(self, states_TBD: Tensor, lengths_B: Tensor) -> Tensor:
        """Reduce the states of each row over its own time."""
        if self.pooling == "last":
            rows = torch.arange(len(lengths_B), device=lengths_B.device)
            ends_BD, starts_BD = states_TBD[lengths_B - 1, rows], states_TBD[0]
            return torch.cat([ends_BD[:, : self.hidden], starts_BD[:, self.hidden :]], dim=1)
        padding_TB1 = (torch.arange(len(states_TBD), device=lengths_B.device)[:, None] >= lengths_B)[:, :, None]
        if self.pooling == "max":
            return states_TBD.masked_fill(padding_TB1, -math.inf).amax(dim=0)
        return states_TBD.masked_fill(padding_TB1, 0.0).sum(dim=0) / lengths_B[:, None]


def padded(x_ND: Tensor, lengths_B: Tensor) -> Tensor:
    """Lay packed rows side by side, (T, B, D), with zeros behind the shorter ones."""
    return pad_sequence(list(torch.split(x_ND, lengths_B.tolist())))


def recurrence(cell: Cell, width: int, hidden: int) -> nn.Module:
    """Build one layer of one direction: (T, B, width) -> (T, B, hidden).

    The forget gates of an LSTM start open, so that early gradients reach far back (Jozefowicz et al., 2015).
    """
    if cell == "gru":
        return nn.GRU(width, hidden)
    lstm = nn.LSTM(width, hidden)
    # The gates stand in the order input, forget, cell, output.
    with torch.no_grad():
        lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = 1.0
    return lstm


def run(layer: nn.Module, x_TBD: Tensor) -> Tensor:
    """Return the states (T, B, hidden) of one layer of one direction, in float32 where the processor must."""
    if x_TBD.device.type != "cpu" or takes_bfloat16():
        states_TBD: Tensor = layer(x_TBD)[0]
        return states_TBD
    with torch.autocast("cpu", enabled=False):
        in_float32_TBD: Tensor = layer(x_TBD.float())[0]
    return in_float32_TBD


@cache
def takes_bfloat16() -> bool:
    """Whether this processor has a recurrent layer in bfloat16: some have the products but not the layer."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]), torch.autocast("cpu", torch.bfloat16):
        try:
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
        except RuntimeError:
            return False
    return True


def build_rnn(config: RNNConfig, spec: InputSpec) -> Encoder:
    """Build a recurrent encoder of a TOKENS or FRAMES input."""
    assert spec.kind in (TensorKind.TOKENS, TensorKind.FRAMES)
    return RNNEncoder(config, spec)
