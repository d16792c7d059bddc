"""Preflight: sound runs pass, and each check fails for what is broken in just that way."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from preflight_trials import ROWS, SHAPES, trial
from torch import Tensor, nn

from luban.core.errors import TrainingError
from luban.core.events import Event
from luban.core.tensors import Columns, EncodedColumn, Ragged, TensorKind, only
from luban.models.attention import attention
from luban.models.network import Network, NetworkSpec
from luban.models.packing import Packing
from luban.tasks.classification import Binary
from luban.training.preflight import independence, learnability
from luban.training.preflight.gradients import GRADIENTS
from luban.training.preflight.independence import INPUTS, NEIGHBOURS, check_causal
from luban.training.preflight.learnability import BY_HEART, START
from luban.training.preflight.preflight import Preflight, preflight
from luban.training.preflight.trial import Check, Trial, without_dropout

Inputs = dict[str, Tensor | Ragged]


def found(result: Preflight, name: str) -> Check:
    return next(check for check in result.checks if check.name == name)


def statuses(result: Preflight) -> dict[str, str]:
    return {check.name: check.status for check in result.checks if check.status != "passed"}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_sound_network_passes_every_check(shape: str, kind: str) -> None:
    result = preflight(trial(shape, kind))
    assert statuses(result) == {}
    result.raise_failures()


@pytest.mark.parametrize(
    ("kind", "train"),
    [
        ("regression", {"loss": {"loss": "mae"}}),
        ("regression", {"loss": {"loss": "huber"}}),
        ("binary", {"loss": {"class_weights": "balanced", "label_smoothing": 0.2}}),
        ("multiclass", {"loss": {"class_weights": {"a": 20.0}}}),
        ("binary", {"accumulate": 3, "optim": {"optimizer": "momentum"}}),
    ],
)
def test_every_loss_of_a_sound_network_passes(kind: str, train: dict[str, Any]) -> None:
    assert statuses(preflight(trial("table", kind, train=train))) == {}


@pytest.mark.parametrize("model", [{"hidden": []}, {"hidden": [3], "activation": "tanh", "dropout": 0}])
def test_small_and_linear_models_pass(model: dict[str, Any]) -> None:
    assert statuses(preflight(trial(model=model))) == {}


@pytest.mark.parametrize("rows", [4, 10])
def test_few_rows_pass(rows: int) -> None:
    targets = np.array([0, 0, 0, 1] * rows)[:rows]
    assert statuses(preflight(trial(rows=rows, targets=targets))) == {}


def test_extreme_targets_and_constant_columns_stop_no_run() -> None:
    constant = {"age": EncodedColumn(TensorKind.DENSE, np.zeros((96, 1), np.float32))}
    targets = np.where(np.arange(96) == 7, 1e6, np.random.default_rng(0).normal(5, 0.01, 96))
    preflight(trial(kind="regression", inputs=constant, targets=targets)).raise_failures()


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_of_the_run_is_changed(shape: str) -> None:
    tried = trial(shape)
    tried.network.train()
    next(tried.network.parameters()).grad = torch.ones_like(next(tried.network.parameters()))
    before = copy.deepcopy(tried.network)
    traits = [(parameter.requires_grad, parameter.grad is None) for parameter in tried.network.parameters()]
    state = torch.get_rng_state()
    modes = [module.training for module in tried.network.modules()]
    preflight(tried)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in tried.network.modules()] == modes
    for (name, value), expected in zip(tried.network.state_dict().items(), before.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name
    assert [(parameter.requires_grad, parameter.grad is None) for parameter in tried.network.parameters()] == traits
    grad = next(tried.network.parameters()).grad
    assert grad is not None
    assert (grad == 1).all()


def test_the_same_run_is_judged_alike() -> None:
    first, second = preflight(trial("text")), preflight(trial("text"))
    names = (START, GRADIENTS, BY_HEART, INPUTS, NEIGHBOURS)
    assert [found(first, name) for name in names] == [found(second, name) for name in names]


class HugeHead(Network):
    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        with torch.no_grad():
            self.heads[0].linear.weight.mul_(1e4)


class ForgetfulBinary(Binary):
    """Leaves the targets out of the loss."""

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = super().row_loss(logits, targets)
        return losses if not logits.any() else losses * 1e-3


def test_a_loss_before_training_far_above_chance_fails() -> None:
    result = preflight(trial(build=HugeHead))
    assert found(result, START).status == "failed"
    with pytest.raises(
        TrainingError, match="pre-flight, the loss before training is that of chance: expected about 0.6"
    ):
        result.raise_failures()


def test_a_loss_before_training_far_below_chance_fails_but_for_a_fitted_head() -> None:
    tried = trial()
    tried = replace(tried, task=ForgetfulBinary.from_state(tried.task.state()))
    assert found(preflight(tried), START).status == "failed"
    assert found(preflight(replace(tried, fitted_head=True)), START).status == "passed"


def test_a_loss_that_is_not_finite_fails() -> None:
    tried = trial()
    with torch.no_grad():
        tried.network.heads[0].linear.weight[0, 0] = math.nan
    with pytest.raises(
        TrainingError, match="expected a finite loss, found nan .and 1 more check failed.. Look for extreme numbers"
    ):
        preflight(tried).raise_failures()


class UnusedPart(Network):
    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.pooler = nn.Linear(3, 3)


class Detached(Network):
    def join(self, inputs: Inputs) -> Tensor:
        return super().join(inputs).detach()


class Dead(Network):
    """Its last hidden layer never fires."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        last = self.fusion.layers[3]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.fill_(-1e3)


class _BreakGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * math.inf


class BrokenBackward(Network):
    def join(self, inputs: Inputs) -> Tensor:
        joined: Tensor = _BreakGradient.apply(super().join(inputs))
        return joined


def test_parts_without_a_gradient_are_named() -> None:
    unused = found(preflight(trial(build=UnusedPart)), GRADIENTS)
    assert (unused.status, unused.found) == ("failed", "none in 'pooler.bias', 'pooler.weight'")
    detached = found(preflight(trial(build=Detached)), GRADIENTS)
    assert (detached.status, detached.found) == ("failed", "none in 'encoders.2.embedding.weight'")


def test_dead_layers_are_named() -> None:
    result = preflight(trial(build=Dead))
    assert found(result, GRADIENTS).status == "failed"
    assert "only zeros in 'encoders.2.embedding.weight', 'fusion.layers.0.bias'" in found(result, GRADIENTS).found
    assert "no change with 'age', 'pay', 'city'" in found(result, INPUTS).found


def test_a_gradient_that_is_not_finite_fails() -> None:
    check = found(preflight(trial(build=BrokenBackward)), GRADIENTS)
    assert check.status == "failed"
    assert "one that is not finite in 'encoders.2.embedding.weight'" in check.found


def test_a_gradient_that_explodes_fails_and_one_that_vanishes_warns() -> None:
    def scaled(scale: float) -> type[Network]:
        class Scaled(Network):
            def join(self, inputs: Inputs) -> Tensor:
                joined = super().join(inputs)
                return joined.detach() + (joined - joined.detach()) * scale

        return Scaled

    exploded = found(preflight(trial(build=scaled(1e9))), GRADIENTS)
    assert (exploded.status, exploded.found) == ("failed", "a huge one in 'encoders.2.embedding.weight'")
    vanished = found(preflight(trial(build=scaled(1e-12))), GRADIENTS)
    assert (vanished.status, vanished.found) == ("warning", "next to nothing in 'encoders.2.embedding.weight'")


def test_recurrent_weights_that_no_second_step_reaches_only_warn() -> None:
    offsets, frames = np.arange(97), np.random.default_rng(0).normal(size=(96, 4)).astype(np.float32)
    single = {"clip": EncodedColumn(TensorKind.FRAMES, frames, offsets)}
    result = preflight(trial("sequences", inputs=single))
    assert statuses(result) == {GRADIENTS: "warning"}
    assert "weight_hh" in found(result, GRADIENTS).found


def test_frozen_parts_need_no_gradient_and_are_not_copied() -> None:
    tried = trial()
    tried.network.encoder("city").requires_grad_(False)
    assert statuses(preflight(tried)) == {}
    frozen = next(tried.network.encoder("city").parameters())
    assert next(tried.copy().network.encoder("city").parameters()) is frozen
    assert tried.copy().network.heads[0].linear.weight is not tried.network.heads[0].linear.weight


class Squashed(Network):
    """Cannot leave the neighbourhood of an even guess."""

    def forward(self, inputs: Columns) -> Columns:
        outputs = super().forward(inputs)
        return dict.fromkeys(outputs, 0.01 * torch.tanh(only(outputs)))


def test_a_network_that_cannot_learn_a_few_rows_fails() -> None:
    result = preflight(trial(build=Squashed))
    assert statuses(result) == {BY_HEART: "failed"}
    assert "on 8 rows" in found(result, BY_HEART).found


def test_rows_that_are_all_alike_only_warn() -> None:
    alike = {
        name: replace(column, values=column.values[:1].repeat(96, axis=0)) for name, column in columns_of().items()
    }
    result = preflight(trial(inputs=alike))
    assert statuses(result)[BY_HEART] == "warning"
    result.raise_failures()


def columns_of() -> dict[str, EncodedColumn]:
    return trial().train.inputs


class Deaf(Network):
    """Takes the encoders' vectors, but not that of one input."""

    def join(self, inputs: Inputs) -> Tensor:
        joined = super().join(inputs)
        return torch.cat([joined[:, :1], torch.zeros_like(joined[:, 1:2]), joined[:, 2:]], dim=1)


def test_an_input_that_changes_nothing_is_named() -> None:
    result = preflight(trial(build=Deaf))
    assert statuses(result) == {INPUTS: "failed"}
    assert found(result, INPUTS).found == "no change with 'pay'"


def test_inputs_with_a_slope_are_not_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(independence, "_exchanged", lambda trial, network, name, *_: asked.append(name) or [])
    monkeypatch.setattr(independence, "_random", lambda *_: [])
    preflight(trial(build=Deaf))
    assert asked == ["pay"]


def test_of_many_inputs_in_doubt_some_are_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independence, "MOST_EXCHANGED", 2)
    assert found(preflight(trial(build=Dead)), INPUTS).found == "no change with 'age', 'city'"


def test_a_column_that_is_constant_is_no_unused_input() -> None:
    constant = {"city": EncodedColumn(TensorKind.IDS, np.full(96, 3)), "age": columns_of()["pay"]}
    assert found(preflight(trial(inputs=constant)), INPUTS).status == "passed"


class Neighbourly(Network):
    def join(self, inputs: Inputs) -> Tensor:
        joined = super().join(inputs)
        return joined + 0.1 * joined.roll(1, dims=0)


class PaddingReader(Network):
    """Adds how much padding a row has beside the longest one."""

    def join(self, inputs: Inputs) -> Tensor:
        joined, text = super().join(inputs), inputs.get("text")
        return joined + 0.1 * (text.lengths.max() - text.lengths)[:, None] if isinstance(text, Ragged) else joined


@pytest.mark.parametrize(("shape", "build"), [("table", Neighbourly), ("text", Neighbourly), ("text", PaddingReader)])
def test_a_prediction_that_depends_on_other_rows_fails(shape: str, build: type[Network]) -> None:
    result = preflight(trial(shape, build=build))
    assert found(result, NEIGHBOURS).status == "failed"
    assert "for row" in found(result, NEIGHBOURS).found


def test_the_row_that_is_named_has_its_number_in_the_source() -> None:
    numbers = 7 * np.arange(ROWS, dtype=np.int64) + 1002  # as of a file with a header and rejected rows

    def named(**settings: Any) -> int:
        check = found(preflight(trial("text", build=PaddingReader, **settings)), NEIGHBOURS)
        row = re.search(r"for row (\d+),", check.found)
        assert row is not None
        return int(row[1])

    assert named(row_numbers=numbers) == numbers[named()]


class OneLayer(nn.Module):
    """Tokens (N,) -> (N, H * K)."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.tokens, self.causal = nn.Embedding(20, 3 * 2 * 4), causal

    def forward(self, tokens: Ragged) -> Tensor:
        packing = Packing(tokens.offsets, tokens.values.device)
        q_NHK, k_NHK, v_NHK = self.tokens(tokens.values).unflatten(1, (3, 2, 4)).unbind(1)
        return attention(q_NHK, k_NHK, v_NHK, packing, causal=self.causal).flatten(1)


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_model_does_not_see_the_future(causal: bool) -> None:
    torch.manual_seed(0)
    rows = [torch.randint(0, 20, (length,)) for length in (9, 2, 5, 7, 1)]
    check = check_causal(OneLayer(causal=causal).train(), Ragged.pack(rows))
    assert check.status == ("passed" if causal else "failed")


def test_a_small_batch_is_short_of_several_lengths_and_targets_and_holds_no_row_twice() -> None:
    tried = trial("text", targets=np.array([0] * 94 + [1] * 2))
    small = tried.sample[tried.small]
    lengths = tried.train.lengths[small]
    assert len(set(small.tolist())) == 8
    assert lengths.max() > lengths.min()
    assert lengths.mean() < tried.train.lengths.mean()
    assert set(only(tried.targets(tried.small).targets).tolist()) == {0, 1}
    doubled = {name: column.take(np.arange(96) // 2) for name, column in tried.train.inputs.items()}
    packed = doubled["text"]
    assert isinstance(packed, Ragged)
    column = EncodedColumn(TensorKind.TOKENS, packed.values.numpy(), packed.offsets.numpy())
    again = trial("text", inputs={"text": column})
    assert len(np.unique(again.sample[again.small] // 2)) == 8


def test_dropout_is_off_and_back_on_again_while_batch_statistics_stay_on() -> None:
    network = trial("images", model={"dropout": 0.5}).network.train()
    modes = {name: module.training for name, module in network.named_modules()}
    with without_dropout(network):
        inside = {type(module).__name__: module.training for module in network.modules()}
    assert inside["BatchNorm2d"]
    assert not inside["Dropout"]
    assert {name: module.training for name, module in network.named_modules()} == modes


def test_failures_are_told_with_what_to_do() -> None:
    result = preflight(trial(build=UnusedPart))
    checks = (*result.checks, Check("another", "failed", "a", "b", "c"))
    message = (
        "pre-flight, a gradient reaches every part: expected one that is finite and not zero in every trained "
        "parameter, found none in 'pooler.bias', 'pooler.weight' (and 1 more check failed). "
        "Remove what the prediction does not use from the model, or skip the checks with --no-preflight."
    )
    with pytest.raises(TrainingError) as caught:
        replace(result, checks=checks).raise_failures()
    assert str(caught.value) == message


def test_the_event_is_a_line_of_json() -> None:
    event: Event = preflight(trial()).event()
    record = json.loads(json.dumps(event.record()))
    assert record["event"] == "PreflightDone"
    assert {check["status"] for check in record["checks"]} == {"passed"}
    assert record["estimate"]["steps"] == 12


def test_attempts_fit_the_size_of_the_network() -> None:
    small, large = trial(), trial(model={"hidden": [1100, 1100]})
    assert attempts(small) == learnability.SMALL_ATTEMPTS
    assert attempts(large) == learnability.LARGE_ATTEMPTS
    assert attempts(replace(small, backbones=["encoders.2."])) == learnability.PRETRAINED_ATTEMPTS


def attempts(tried: Trial) -> tuple[learnability.Attempt, ...]:
    return learnability._attempts(tried, sum(parameter.numel() for parameter in tried.network.parameters()))


def test_tolerances_leave_room_for_rounding_alone() -> None:
    assert independence.TOLERANCE[torch.float32] < independence.TOLERANCE[torch.bfloat16] < 0.05
