"""Every architecture and every task can be traced."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from test_models_small import CASES, TOKENS, example
from tiny_checkpoints import SPEC, save_tiny
from torch import nn

from luban.core.tensors import Ragged
from luban.explain.trace.losses import TASK_FORMULAS, loss_of
from luban.explain.trace.trace import trace_network
from luban.models import MODELS
from luban.models.pretrained.config import PretrainedConfig, build_pretrained, resolve
from luban.models.pretrained.weights import load_weights
from luban.models.transformer import TransformerConfig, build_transformer
from luban.tasks import TASKS
from luban.tasks.base import LossConfig

TARGETS = {
    "binary": ["no", "yes", "no", "no"],
    "multiclass": ["a", "b", "c", "a"],
    "multi_label": ["a;b", "b", "a;c", "c"],
    "regression": ["0.5", "-1.25", "3", "7.75"],
}
CONFIGS = {
    "plain": LossConfig(),
    "smooth": LossConfig(label_smoothing=0.1),
    "balanced": LossConfig(label_smoothing=0.1, class_weights="balanced"),
    "mae": LossConfig(loss="mae"),
    "huber": LossConfig(loss="huber"),
}


def text() -> Ragged:
    return Ragged.pack([torch.randint(50, (5,), generator=torch.Generator().manual_seed(0))])


@pytest.mark.parametrize("name", [*CASES, "transformer", "pretrained"])
def test_every_architecture(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if name == "transformer":
        encoder, inputs = (
            build_transformer(TransformerConfig(layers=1, width=8, heads=2), TOKENS),
            text(),
        )
    elif name == "pretrained":
        config = PretrainedConfig(checkpoint="tiny", pooling="mean")
        folder = save_tiny(tmp_path / "tiny")
        encoder, inputs = build_pretrained(resolve(config, folder), SPEC), text()
        load_weights(encoder, folder)
    else:
        build, settings, spec = CASES[name]
        encoder, inputs = build(settings, spec), example(spec, (5,))
    network = nn.Sequential(encoder, nn.Linear(encoder.output_dim, 3))
    found = trace_network(network, inputs, torch.tensor([1]), "cross_entropy", optimizer="adamw")
    assert found.check_passed, [check for check in found.checks if not check.passed]
    assert {name for check in found.checks for name in check.names} == {name for name, _ in network.named_parameters()}
    assert found.rounding < 1e-2
    assert found.layers[-1].output.values == found.logits.values


def test_no_architecture_is_left_out() -> None:
    covered = {name.split()[0] for name in CASES} | {"transformer", "pretrained"}
    covered |= {"dlinear", "patchtst"}  # of windows, which forecasts alone have: they are not traced
    assert {model.name for model in MODELS} <= covered


@pytest.mark.parametrize("setting", CONFIGS)
@pytest.mark.parametrize(
    "task_type", [task for task in TASKS if task.name in TASK_FORMULAS], ids=lambda task: task.name
)
def test_written_out_loss_is_the_task_s_own(task_type, setting: str) -> None:
    is_number = task_type.name == "regression"
    if setting != "plain" and is_number != (setting in ("mae", "huber")):
        pytest.skip("not a setting of this task")
    target = pl.Series("answer", TARGETS[task_type.name])
    task, config = task_type.fit(target), CONFIGS[setting]
    targets = torch.from_numpy(task.encode(target)[0])
    loss = loss_of(task, config)
    assert loss.explain is not None
    for row in range(len(target)):
        logits = torch.randn(1, task.output_dim, requires_grad=True, generator=torch.Generator().manual_seed(row))
        value = loss.rows(logits, targets[row : row + 1])
        value.sum().backward()
        formula = loss.explain(logits.detach(), targets[row : row + 1])
        assert formula.loss.value == pytest.approx(float(value.detach()), abs=1e-5)
        assert logits.grad is not None
        assert [line.value for line in formula.slopes] == pytest.approx(logits.grad.flatten().tolist(), abs=1e-5)
