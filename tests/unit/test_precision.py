"""Which precision a training takes: when it is measured, on what, and for how long."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from one_target import outputs_of
from small_loop import TOKENS, small_loop

from luban.core import runtime
from luban.core.runtime import MOST_TURNS, faster_dtype
from luban.core.tensors import InputSpec, TensorKind
from luban.models.choice import NetworkConfig
from luban.models.network import specify
from luban.training import fit
from luban.training.fit import Job, precision_matters, step_by_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("parameters", "rows", "matters"),
    [
        (235_146, 128, True),  # 784-256-128-10: few parameters, many rows
        (235_146, 32, False),
        (50_890, 128, False),
        (50_890, 512, True),
        (300_000, 2, True),  # a weight may count many times in a row: that of a convolution, of a layer over tokens
    ],
)
def test_parameters_or_products_make_it_matter(parameters: int, rows: int, matters: bool) -> None:
    assert precision_matters(parameters, rows) is matters


class Clock:
    """Steps of set lengths, by a clock that only they move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float) -> None:
        self.now, self.steps = 0.0, 0
        self.seconds = {torch.float32: float32, torch.bfloat16: bfloat16}
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(runtime, "emulates_bfloat16", lambda device: False)

    def step(self, dtype: torch.dtype) -> None:
        self.now += self.seconds[dtype]
        self.steps += 1


@pytest.mark.parametrize(
    ("float32", "bfloat16", "turns"),
    [
        (2.0, 1.0, 1),  # plain at once
        (1.0, 0.99, 3),
        (0.002, 0.001, MOST_TURNS),  # one short step alone says little, however plain
        (0.012, 0.01, 5),
    ],
)
def test_the_faster_precision_is_measured_on_as_many_steps_as_it_takes(
    monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float, turns: int
) -> None:
    clock = Clock(monkeypatch, float32, bfloat16)
    chosen, seconds = faster_dtype(clock.step, CPU)
    assert chosen == (torch.bfloat16 if float32 / bfloat16 > runtime.BFLOAT16_GAIN else torch.float32)
    assert seconds == pytest.approx(clock.seconds[chosen])
    assert clock.steps == 2 * (1 + turns)


@pytest.mark.parametrize("is_small", [True, False])
def test_the_update_is_part_of_a_measured_step_of_a_small_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_small: bool
) -> None:
    loop = small_loop()
    if not is_small:
        monkeypatch.setattr(fit, "UPDATED_PARAMETERS", 10)
    spec = specify(
        NetworkConfig.model_validate({"tokens": TOKENS, "hidden": []}),
        [InputSpec("text", TensorKind.TOKENS, 100)],
        outputs_of(1),
    )
    rows = np.arange(8)
    job = Job(loop.network, spec, loop.task, loop.train, loop.validation, loop.config, 0, CPU, tmp_path, rows)
    before = {name: value.clone() for name, value in loop.network.state_dict().items()}
    step_by_dtype(job, loop.network, loop.train.batch(rows))(torch.float32)
    changed = any(not torch.equal(value, before[name]) for name, value in loop.network.state_dict().items())
    assert changed is is_small
