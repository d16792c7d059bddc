"""The small architectures: one contract for all of them, then what is particular to each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.base import Encoder, EncoderConfig
from luban.models.building import fill, no_weights
from luban.models.cnn import (
    LeNetConfig,
    ResNetConfig,
    TextCNNConfig,
    build_lenet,
    build_resnet,
    build_textcnn,
)
from luban.models.mlp import (
    ACTIVATIONS,
    MLP,
    Activation,
    DenseConfig,
    EmbeddingConfig,
    FlattenConfig,
    build_dense,
    build_embedding,
    build_flatten,
)
from luban.models.rnn import Cell, Pooling, RNNConfig, RNNEncoder, build_rnn

LENGTHS = (7, 1, 12, 3)
DENSE = InputSpec("numbers", TensorKind.DENSE, 6)
IDS = InputSpec("city", TensorKind.IDS, 9)
TOKENS = InputSpec("text", TensorKind.TOKENS, 50, max_length=12)
FRAMES = InputSpec("clip", TensorKind.FRAMES, 5, max_length=12)
GREY = InputSpec("photo", TensorKind.GRID, 1, height=16, width=16)
COLOUR = InputSpec("photo", TensorKind.GRID, 3, height=20, width=12)
NO_DROPOUT: dict[str, Any] = {"dropout": 0.0}

Build = Callable[[Any, InputSpec], Encoder]
CASES: dict[str, tuple[Build, EncoderConfig, InputSpec]] = {
    "dense": (build_dense, DenseConfig(), DENSE),
    "embedding": (build_embedding, EmbeddingConfig(), IDS),
    "flatten": (build_flatten, FlattenConfig(), COLOUR),
    "lenet": (build_lenet, LeNetConfig(channels=(4, 6), hidden=16, **NO_DROPOUT), GREY),
    "resnet": (build_resnet, ResNetConfig(stem=4, channels=(4, 8), blocks=(1, 1)), COLOUR),
    "textcnn": (build_textcnn, TextCNNConfig(dim=8, channels=6, **NO_DROPOUT), TOKENS),
    "lstm": (build_rnn, RNNConfig(architecture="lstm", dim=8, hidden=6, **NO_DROPOUT), TOKENS),
    "lstm on frames": (build_rnn, RNNConfig(dim=8, hidden=6, pooling="last", **NO_DROPOUT), FRAMES),
    "gru": (build_rnn, RNNConfig(architecture="gru", dim=8, hidden=6, layers=2, **NO_DROPOUT), TOKENS),
    "gru one way": (
        build_rnn,
        RNNConfig(architecture="gru", dim=8, hidden=6, bidirectional=False, pooling="mean"),
        FRAMES,
    ),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def example(spec: InputSpec, lengths: tuple[int, ...] = LENGTHS) -> Tensor | Ragged:
    """Some rows of an input: as many as there are lengths."""
    draw, rows = seeded(), len(lengths)
    match spec.kind:
        case TensorKind.DENSE:
            return torch.randn(rows, spec.size, generator=draw)
        case TensorKind.IDS:
            return torch.randint(spec.size, (rows,), generator=draw)
        case TensorKind.GRID:
            return torch.randn(rows, spec.size, spec.height, spec.width, generator=draw)
        case TensorKind.TOKENS:
            return Ragged.pack([torch.randint(spec.size, (length, 2), generator=draw) for length in lengths])
        case TensorKind.FRAMES:
            return Ragged.pack([torch.randn(length, spec.size, generator=draw) for length in lengths])


def row(inputs: Tensor | Ragged, position: int) -> Tensor | Ragged:
    """One row of an input, as a batch of its own."""
    if isinstance(inputs, Tensor):
        return inputs[position : position + 1]
    start, end = inputs.offsets[position : position + 2].tolist()
    return Ragged.pack([inputs.values[start:end]])


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Encoder, Tensor | Ragged]:
    build, config, spec = CASES[request.param]
    torch.manual_seed(0)
    return build(config, spec), example(spec)


class TestEveryEncoder:
    def test_shape_is_rows_by_output_dim(self, case: tuple[Encoder, Tensor | Ragged]) -> None:
        encoder, inputs = case
        assert encoder(inputs).shape == (len(LENGTHS), encoder.output_dim)

    def test_gradient_reaches_every_parameter(self, case: tuple[Encoder, Tensor | Ragged]) -> None:
        encoder, inputs = case
        weights = torch.randn(encoder.output_dim, generator=seeded())
        if any(True for _ in encoder.parameters()):
            (encoder(inputs) * weights).sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name

    def test_a_row_does_not_depend_on_the_others(self, case: tuple[Encoder, Tensor | Ragged]) -> None:
        encoder, inputs = case
        together = encoder.eval()(inputs)
        alone = torch.cat([encoder(row(inputs, position)) for position in range(len(LENGTHS))])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)

    def test_bfloat16_is_finite_and_close(self, case: tuple[Encoder, Tensor | Ragged]) -> None:
        encoder, inputs = case
        exact = encoder.eval()(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            found = encoder(inputs).float()
        torch.testing.assert_close(found, exact, atol=0.1, rtol=0.1)

    @pytest.mark.parametrize("name", CASES)
    def test_weights_load_into_an_encoder_without_any(self, name: str) -> None:
        build, config, spec = CASES[name]
        encoder = build(config, spec).eval()
        with no_weights():
            copy = build(config, spec).eval()
        assert all(parameter.is_meta for parameter in copy.parameters())
        fill(copy, encoder.state_dict(), "weights")
        torch.testing.assert_close(copy(example(spec)), encoder(example(spec)))

    @pytest.mark.parametrize("name", CASES)
    def test_unknown_settings_are_refused_and_known_ones_survive_json(self, name: str) -> None:
        config = CASES[name][1]
        assert type(config).model_validate_json(config.model_dump_json()) == config
        with pytest.raises(ValidationError):
            type(config).model_validate({"colour": 1})

    @pytest.mark.parametrize("name", [name for name, (_, _, spec) in CASES.items() if spec.max_length])
    @pytest.mark.parametrize("lengths", [(0, 5, 0, 2, 0), (0, 0), (0,)])
    def test_empty_rows_give_zeros_and_leave_the_others_alone(self, name: str, lengths: tuple[int, ...]) -> None:
        build, config, spec = CASES[name]
        encoder = build(config, spec).eval()
        found = encoder(example(spec, lengths))
        assert found.shape == (len(lengths), encoder.output_dim)
        filled = [position for position, length in enumerate(lengths) if length]
        assert found[[position for position, length in enumerate(lengths) if not length]].abs().sum() == 0
        if filled:
            full = encoder(example(spec, tuple(lengths[position] for position in filled)))
            torch.testing.assert_close(found[filled], full, atol=1e-6, rtol=1e-5)

    @pytest.mark.parametrize("name", ["textcnn", "lstm"])
    def test_of_two_columns_of_tokens_the_first_counts(self, name: str) -> None:
        build, config, spec = CASES[name]
        encoder, inputs = build(config, spec).eval(), example(spec)
        assert isinstance(inputs, Ragged)
        torch.testing.assert_close(encoder(Ragged(inputs.values[:, 0].clone(), inputs.offsets)), encoder(inputs))


class TestDense:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_mlp_is_the_written_out_product(self, activation: Activation) -> None:
        mlp = MLP(4, (5, 3), activation)
        first, second = (layer for layer in mlp.layers if isinstance(layer, nn.Linear))
        x, act = torch.randn(7, 4, generator=seeded()), ACTIVATIONS[activation]()
        torch.testing.assert_close(mlp(x), act(act(x @ first.weight.T + first.bias) @ second.weight.T + second.bias))
        assert mlp.output_dim == 3

    def test_mlp_without_layers_passes_on(self) -> None:
        x = torch.randn(7, 4, generator=seeded())
        assert MLP(4, ()).output_dim == 4
        torch.testing.assert_close(MLP(4, ())(x), x)

    def test_norm_standardises_what_enters_the_activation(self) -> None:
        out = MLP(4, (64,), "identity", norm=True)(100 * torch.randn(7, 4, generator=seeded()))
        torch.testing.assert_close(out.std(1, correction=0), torch.ones(7), atol=1e-3, rtol=0)

    def test_dropout_is_for_training_only(self) -> None:
        mlp, x = MLP(4, (64,), "sigmoid", dropout=0.5), torch.ones(1, 4)
        assert (mlp(x) == 0).any()
        assert not (mlp.eval()(x) == 0).any()

    @pytest.mark.parametrize(("num_ids", "dim"), [(2, 2), (9, 5), (100, 21), (10_000, 50)])
    def test_width_of_an_embedding_grows_with_the_categories(self, num_ids: int, dim: int) -> None:
        spec = InputSpec("city", TensorKind.IDS, num_ids)
        assert build_embedding(EmbeddingConfig(), spec).output_dim == dim
        assert build_embedding(EmbeddingConfig(dim=3), spec).output_dim == 3


class TestImages:
    def test_default_lenet_is_the_digit_network(self) -> None:
        encoder = build_lenet(LeNetConfig(), InputSpec("digit", TensorKind.GRID, 1, height=28, width=28))
        shapes = [tuple(parameter.shape) for parameter in encoder.parameters() if parameter.ndim > 1]
        assert shapes == [(32, 1, 5, 5), (64, 32, 5, 5), (1024, 64 * 7 * 7)]

    def test_images_too_small_for_the_poolings(self) -> None:
        message = (
            r"input 'photo', architecture 'lenet': expected images of at least 8 x 8 pixels for 3 poolings, "
            r"found 16 x 7. Set a larger size for the images, or fewer channels or a smaller pool for the model."
        )
        with pytest.raises(ConfigError, match=message):
            build_lenet(LeNetConfig(channels=(2, 2, 2)), InputSpec("photo", TensorKind.GRID, 1, height=16, width=7))

    @pytest.mark.parametrize("side", [1, 2, 5, 32, 65, 224])
    def test_resnet_takes_any_size(self, side: int) -> None:
        spec = InputSpec("photo", TensorKind.GRID, 3, height=side, width=side)
        encoder = build_resnet(ResNetConfig(stem=2, channels=(2, 3, 4)), spec).eval()
        assert encoder(example(spec, (1, 1))).shape == (2, 4)

    @pytest.mark.parametrize(("side", "expected"), [(64, 64), (65, 33), (128, 64), (224, 56)])
    def test_large_images_are_halved_before_the_first_stage(self, side: int, expected: int) -> None:
        spec = InputSpec("photo", TensorKind.GRID, 3, height=side, width=side)
        encoder = build_resnet(ResNetConfig(stem=2, channels=(7,), blocks=(0,)), spec)
        seen: list[tuple[int, ...]] = []
        stage = next(m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 7)
        stage.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
        encoder(example(spec, (1, 1)))
        assert seen == [(expected, expected)]

    def test_as_many_block_counts_as_stages(self) -> None:
        message = "expected a number of blocks for each of the 2 stages in channels, found 3"
        with pytest.raises(ValidationError, match=message):
            ResNetConfig(channels=(8, 8), blocks=(1, 1, 1))

    def test_resnet_learns(self) -> None:
        """Bars across or along 8 x 8 pixels: 60 steps must tell them apart."""
        torch.manual_seed(0)
        spec = InputSpec("bars", TensorKind.GRID, 1, height=8, width=8)
        encoder = build_resnet(ResNetConfig(stem=4, channels=(8, 8), blocks=(1, 0)), spec)
        network = nn.Sequential(encoder, nn.Linear(encoder.output_dim, 2))
        bars = torch.randn(64, 1, 8, 1).expand(-1, -1, -1, 8)
        targets = torch.arange(64) % 2
        images = torch.where(targets[:, None, None, None] == 0, bars, bars.transpose(2, 3))
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        for _ in range(60):
            loss = nn.functional.cross_entropy(network(images), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert float((network.eval()(images).argmax(1) == targets).float().mean()) > 0.95


class TestText:
    def test_filter_sees_its_words_in_order(self) -> None:
        torch.manual_seed(0)
        encoder = build_textcnn(TextCNNConfig(dim=8, channels=6), TOKENS).eval()
        there, back = (Ragged.pack([torch.tensor(words)]) for words in ([3, 4, 5], [5, 4, 3]))
        assert not torch.allclose(encoder(there), encoder(back))

    def test_equals_the_maximum_over_all_windows(self) -> None:
        torch.manual_seed(0)
        encoder = build_textcnn(TextCNNConfig(dim=8, widths=(3,), channels=6), TOKENS).eval()
        words = torch.tensor([3, 4, 5, 6])
        embedded = encoder.get_parameter("embedding.weight")[words]
        embedded = torch.cat([embedded, torch.zeros(2, 8)])
        weight, bias = encoder.get_parameter("convolutions.0.weight"), encoder.get_parameter("convolutions.0.bias")
        windows = torch.stack([(weight * embedded[t : t + 3].T).sum((1, 2)) + bias for t in range(4)])
        torch.testing.assert_close(encoder(Ragged.pack([words]))[0], windows.relu().amax(0))


class TestRecurrent:
    @pytest.mark.parametrize("pooling", ["last", "mean", "max"])
    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    @pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, True)])
    def test_equals_torch_on_packed_sequences(
        self, cell: Cell, pooling: Pooling, layers: int, bidirectional: bool
    ) -> None:
        torch.manual_seed(0)
        config = RNNConfig(
            architecture=cell, dim=8, hidden=6, layers=layers, bidirectional=bidirectional, pooling=pooling
        )
        encoder, inputs = build_rnn(config, FRAMES).eval(), example(FRAMES)
        assert isinstance(encoder, RNNEncoder)
        assert isinstance(inputs, Ragged)
        reference = (nn.LSTM if cell == "lstm" else nn.GRU)(8, 6, layers, bidirectional=bidirectional)
        reference.load_state_dict(
            {
                f"{name.removesuffix('_l0')}_l{layer}{'_reverse' if direction else ''}": parameter
                for layer, directions in enumerate(encoder.layers)
                for direction, rnn in enumerate(directions.children())
                for name, parameter in rnn.named_parameters()
            }
        )
        rows = encoder.embedding(inputs.values).split(inputs.lengths.tolist())
        states, last = reference(nn.utils.rnn.pack_sequence(rows, enforce_sorted=False))
        padded, lengths = nn.utils.rnn.pad_packed_sequence(states, padding_value=-math.inf if pooling == "max" else 0)
        hidden = last[0] if isinstance(last, tuple) else last
        expected = {
            "last": hidden[-2:].transpose(0, 1).flatten(1) if bidirectional else hidden[-1],
            "mean": padded.sum(0) / lengths[:, None],
            "max": padded.amax(0),
        }[pooling]
        torch.testing.assert_close(encoder(inputs), expected, atol=1e-5, rtol=1e-4)

    def test_forget_gates_start_open(self) -> None:
        encoder = build_rnn(RNNConfig(architecture="lstm", hidden=6, layers=2), TOKENS)
        biases = [parameter for name, parameter in encoder.named_parameters() if name.endswith("bias_ih_l0")]
        assert len(biases) == 4
        assert all((bias[6:12] == 1).all() and (bias[:6] != 1).all() for bias in biases)

    @pytest.mark.parametrize("architecture", ["lstm", "gru"])
    def test_remembers_the_first_token(self, architecture: Literal["lstm", "gru"]) -> None:
        """Which of two tokens stood first of eight: a few dozen steps must learn it."""
        torch.manual_seed(0)
        config = RNNConfig(architecture=architecture, dim=8, hidden=16, bidirectional=False, dropout=0, pooling="last")
        encoder = build_rnn(config, InputSpec("text", TensorKind.TOKENS, 10, max_length=8))
        head = nn.Linear(encoder.output_dim, 2)
        tokens = torch.randint(2, 10, (64, 8))
        targets = tokens[:, 0] = torch.arange(64) % 2
        inputs = Ragged.pack(list(tokens))
        optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=2e-2)
        for _ in range(50):
            loss = nn.functional.cross_entropy(head(encoder(inputs)), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assert float((head(encoder(inputs)).argmax(1) == targets).float().mean()) > 0.95
