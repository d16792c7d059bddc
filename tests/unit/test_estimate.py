"""What a run will take: exact where it can be counted, refused where it cannot fit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from preflight_trials import SHAPES, trial
from torch import nn

from luban.core.errors import TrainingError
from luban.core.machine import address_space, resources
from luban.features.dataset import TOKEN_BUDGET
from luban.training.optim.optimizers import OPTIMIZERS
from luban.training.preflight import estimate
from luban.training.preflight.estimate import (
    Activations,
    Weights,
    activation_bytes,
    counted,
    disk_bytes,
    measure,
    state_bytes,
)
from luban.training.preflight.preflight import preflight

CPU = torch.device("cpu")


def test_bytes_of_weights() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))
    network[0].requires_grad_(False)
    assert Weights.of(network) == Weights(whole=4 * (20 + 10) + 4 * 10 + 8, trained=40, buffers=48)


@pytest.mark.parametrize(("optimizer", "moments"), estimate.MOMENTS.items())
def test_state_is_what_the_optimizer_really_keeps(optimizer: str, moments: int) -> None:
    tried = trial(train={"optim": {"optimizer": optimizer, "learning_rate": 0.01}})
    parameters = [nn.Parameter(torch.ones(20, 50))]
    built = OPTIMIZERS[optimizer]([{"params": parameters, "lr": 0.01}], 0.01, 0.9)
    parameters[0].grad = torch.ones(20, 50)
    built.step()
    kept = sum(value.numel() for value in built.state[parameters[0]].values() if isinstance(value, torch.Tensor))
    assert round(kept / 1000) == moments
    weights = Weights.of(tried.network)
    assert state_bytes(tried) == weights.trained * (3 + moments)
    assert disk_bytes(tried) == weights.trained * (4 * (2 + moments) + 1) + estimate.FILES


def test_frozen_weights_are_neither_in_the_checkpoints_nor_in_the_optimizer() -> None:
    tried = trial()
    whole = disk_bytes(tried), state_bytes(tried)
    tried.network.encoder("city").requires_grad_(False)
    frozen = 4 * sum(parameter.numel() for parameter in tried.network.encoder("city").parameters())
    assert whole[0] - disk_bytes(tried) == 16 * frozen
    assert whole[1] - state_bytes(tried) == 5 * frozen


def test_activations_are_what_the_backward_pass_needs() -> None:
    network = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))
    with counted(network) as kept:
        network(torch.ones(8, 10))
    # The input, and what ReLU makes, which it and the next layer share.
    assert sum(kept.values()) == 4 * 8 * (10 + 20)


def test_activations_grow_to_the_longest_batch_and_shrink_with_accumulation() -> None:
    tried = trial("text", validation_rows=0)
    longest = int(np.sort(tried.train.lengths)[-16:].sum())
    measured = Activations(kept=1000, largest=100, units=10)
    assert activation_bytes(tried, measured) == int(estimate.BACKWARD * 100 * longest)
    halved = trial("text", train={"accumulate": 2})
    assert activation_bytes(halved, measured) < activation_bytes(tried, measured) * 0.6
    validated = replace(tried, validation_rows=5)
    assert activation_bytes(validated, measured) == 2 * 10 * TOKEN_BUDGET


def test_time_is_that_of_the_steps_and_a_third_for_validation() -> None:
    assert estimate.total_seconds(trial(), 0.5) == pytest.approx(2 * 0.5 * 6)
    assert estimate.total_seconds(trial(validation_rows=12), 0.5) == pytest.approx(2 * 0.5 * (6 + 0.25))


@pytest.mark.parametrize("shape", SHAPES)
def test_real_steps_are_measured(shape: str) -> None:
    ticks = iter(np.arange(1000) * 0.25)
    seconds, activations = measure(trial(shape).copy(), clock=lambda: float(next(ticks)))
    tried = trial(shape)
    rows = tried.config.batch_size or 0
    # A quarter of a second a step, for a batch of mean length.
    lengths = tried.train.lengths
    assert 0.25 * lengths.mean() / lengths.max() <= seconds <= 0.25 * lengths.mean() / lengths.min()
    assert activations.kept >= activations.largest > 0
    assert rows * lengths.min() <= activations.units <= rows * lengths.max()


def test_a_long_step_is_taken_once() -> None:
    calls = []

    def clock() -> float:
        calls.append(1)
        return 10.0 * len(calls)

    measure(trial().copy(), clock=clock)
    assert len(calls) == 3


def test_a_run_larger_than_memory_is_refused_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "available_memory", lambda device: 10_000)
    result = preflight(trial())
    assert result.estimate.seconds is None
    with pytest.raises(
        TrainingError, match="the run fits into memory: expected at most 1 MB, which are free, found 1 MB"
    ):
        result.raise_failures()


def test_activations_that_do_not_fit_name_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = trial("images", train={"batch_size": 32, "accumulate": 2})
    monkeypatch.setattr(estimate, "available_memory", lambda device: state_bytes(tried) + 10_000)
    with pytest.raises(TrainingError, match="Lower train.batch_size, or set train.accumulate=4 or more"):
        preflight(tried).raise_failures()


def test_a_run_larger_than_the_disk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert estimate.check_disk(trial(folder=tmp_path / "runs")).status == "passed"
    monkeypatch.setattr(estimate, "available_disk", lambda folder: 2_000_000)
    with pytest.raises(TrainingError, match="expected at most 2 MB, which are free, found 4 MB. Set runs to a folder"):
        preflight(trial(folder=tmp_path / "runs")).raise_failures()


def test_where_the_system_tells_nothing_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "available_memory", lambda device: None)
    assert estimate.check_memory(trial(), 1 << 60).status == "passed"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"}
VERSION_2 = {
    "proc/self/cgroup": "0::/jobs/mine\n",
    "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
    "sys/fs/cgroup/jobs/mine/memory.current": "500000\n",
    "sys/fs/cgroup/jobs/memory.max": "1000000\n",
    "sys/fs/cgroup/jobs/memory.current": "700000\n",
    "sys/fs/cgroup/jobs/memory.stat": "anon 5\ninactive_file 100000\n",
}
VERSION_1 = {
    "proc/self/cgroup": "3:cpuset:/\n2:cpu,memory:/mine\n",
    "sys/fs/cgroup/memory/mine/memory.limit_in_bytes": "3000000\n",
    "sys/fs/cgroup/memory/mine/memory.usage_in_bytes": "1000000\n",
    "sys/fs/cgroup/memory/mine/memory.stat": "total_inactive_file 50000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
}


def test_the_least_of_machine_and_control_groups_is_available(tmp_path: Path) -> None:
    assert resources.available_memory(CPU, write(tmp_path / "0", MACHINE)) == 8000 * 1024
    assert resources.available_memory(CPU, write(tmp_path / "2", MACHINE | VERSION_2)) == 400_000
    assert resources.available_memory(CPU, write(tmp_path / "1", MACHINE | VERSION_1)) == 2_050_000
    assert resources.available_memory(CPU, tmp_path / "nothing") is None
    assert resources.used_memory(CPU, tmp_path / "nothing") == 0


def test_the_limit_of_the_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, MACHINE | {"proc/self/statm": "100 40 0 0 0 0 0"})
    limited = SimpleNamespace(RLIMIT_AS=9, RLIM_INFINITY=-1, getrlimit=lambda which: (3_000_000, -1))
    monkeypatch.setattr(address_space.importlib, "import_module", lambda name: limited)
    page = os.sysconf("SC_PAGE_SIZE")
    assert resources.available_memory(CPU, root) == 3_000_000 - 100 * page
    assert resources.used_memory(CPU, root) == 40 * page


def test_this_machine_tells_of_itself(tmp_path: Path) -> None:
    assert resources.available_disk(tmp_path / "not" / "there") > 0
    if Path("/proc/meminfo").exists():
        assert (resources.available_memory(CPU) or 0) > 1_000_000
        assert resources.used_memory(CPU) > 1_000_000
