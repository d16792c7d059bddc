"""One architecture a file; each turns one input into one vector a row."""

from __future__ import annotations

from luban.core.tensors import TensorKind
from luban.models.base import Architecture
from luban.models.cnn import (
    LeNetConfig,
    ResNetConfig,
    TextCNNConfig,
    build_lenet,
    build_resnet,
    build_textcnn,
)
from luban.models.dlinear import DLinearConfig, build_dlinear
from luban.models.mlp import (
    DenseConfig,
    EmbeddingConfig,
    FlattenConfig,
    build_dense,
    build_embedding,
    build_flatten,
)
from luban.models.patchtst import PatchTSTConfig, build_patchtst
from luban.models.pretrained import PretrainedConfig, build_pretrained
from luban.models.rnn import RNNConfig, build_rnn
from luban.models.transformer import TransformerConfig, build_transformer

SEQUENCES = frozenset({TensorKind.TOKENS, TensorKind.FRAMES})
TOKENS, GRID, FRAMES = (frozenset({kind}) for kind in (TensorKind.TOKENS, TensorKind.GRID, TensorKind.FRAMES))

MODELS: tuple[Architecture, ...] = (
    Architecture("dense", frozenset({TensorKind.DENSE}), DenseConfig, build_dense),
    Architecture("embedding", frozenset({TensorKind.IDS}), EmbeddingConfig, build_embedding),
    Architecture("resnet", GRID, ResNetConfig, build_resnet),
    Architecture("lenet", GRID, LeNetConfig, build_lenet),
    Architecture("flatten", GRID, FlattenConfig, build_flatten),
    Architecture("pretrained", TOKENS, PretrainedConfig, build_pretrained),
    Architecture("transformer", TOKENS, TransformerConfig, build_transformer),
    Architecture("lstm", SEQUENCES, RNNConfig, build_rnn),
    Architecture("gru", SEQUENCES, RNNConfig, build_rnn),
    Architecture("dlinear", FRAMES, DLinearConfig, build_dlinear),
    Architecture("patchtst", FRAMES, PatchTSTConfig, build_patchtst),
    Architecture("textcnn", TOKENS, TextCNNConfig, build_textcnn),
)
