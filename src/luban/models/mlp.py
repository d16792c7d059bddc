"""Dense layers, and the encoders that need nothing else.

Legend: B rows · D width · C channels · H, W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from luban.core.settings import Width
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.base import Encoder, EncoderConfig
from luban.models.dense_stack import can_run_together, run_together
from luban.models.dropout import Dropout

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "identity"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}
LARGEST_EMBEDDING = 50


class MLP(nn.Module):
    """Dense layers, each followed by its activation: (B, input_dim) -> (B, output_dim).

    output_dim is the last width of `hidden`, or input_dim where there is none. norm: LayerNorm before each activation.
    """

    def __init__(
        self,
        input_dim: int,
        hidden: Sequence[int],
        activation: Activation = "relu",
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        super().__init__()
        widths = [input_dim, *hidden]
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers.append(nn.Linear(width_in, width_out))
            if norm:
                layers.append(nn.LayerNorm(width_out))
            layers += [ACTIVATIONS[activation](), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.dropout = dropout
        self.is_plain = activation == "relu" and not norm
        self.output_dim = widths[-1]

    def forward(self, x_BD: Tensor) -> Tensor:
        if self.training and self.is_plain and len(self.layers):
            dense = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
            if can_run_together(dense, x_BD):
                return run_together(dense, self.dropout, x_BD)
        out_BD: Tensor = self.layers(x_BD)
        return out_BD


class DenseConfig(EncoderConfig):
    """Numbers go to the next layers as they are."""

    architecture: Literal["dense"] = "dense"


class FlattenConfig(EncoderConfig):
    """Pixels go to the next layers as they are, row by row."""

    architecture: Literal["flatten"] = "flatten"


class EmbeddingConfig(EncoderConfig):
    """A learned vector for each category. dim: None grows it with the number of categories n: 1.6 n^0.56, at most 50
    (the rule of thumb of fastai's tabular models)."""

    architecture: Literal["embedding"] = "embedding"
    dim: Width | None = None


class Flatten(Encoder):
    """DENSE (B, D) or GRID (B, C, H, W) -> (B, all the rest)."""

    def __init__(self, output_dim: int) -> None:
        super().__init__()
        self.output_dim = self.places_dim = output_dim

    def places(self, inputs: Tensor | Ragged) -> Tensor:
        assert isinstance(inputs, Tensor)
        return inputs.flatten(1)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Tensor)
        return places


class CategoryEmbedding(Encoder):
    """IDS (B,) -> (B, dim). learned: the ids that stand for no category, whose vectors begin at 0 and are learned from
    ids that are replaced: what is left of a drawn vector would differ from one training to the next."""

    def __init__(self, num_ids: int, dim: int, learned: Sequence[int] = ()) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_ids, dim)
        # Vectors of about length 1, so that a category weighs as much as one standardised number.
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        with torch.no_grad():
            for id_ in learned:
                self.embedding.weight[id_] = 0
        self.output_dim = self.places_dim = dim

    def places(self, inputs: Tensor | Ragged) -> Tensor:
        assert isinstance(inputs, Tensor)
        out_BD: Tensor = self.embedding(inputs)
        return out_BD

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Tensor)
        return places


def build_dense(config: DenseConfig, spec: InputSpec) -> Encoder:
    """Build the pass-through of a DENSE input."""
    assert spec.kind is TensorKind.DENSE
    return Flatten(spec.size)


def build_flatten(config: FlattenConfig, spec: InputSpec) -> Encoder:
    """Build the flattening of a GRID input."""
    assert spec.kind is TensorKind.GRID
    return Flatten(spec.size * spec.height * spec.width)


def build_embedding(config: EmbeddingConfig, spec: InputSpec) -> Encoder:
    """Build the embedding of an IDS input."""
    assert spec.kind is TensorKind.IDS
    learned = [id_ for id_, share in enumerate(spec.unknown) if share]
    return CategoryEmbedding(spec.size, config.dim or min(LARGEST_EMBEDDING, round(1.6 * spec.size**0.56)), learned)
