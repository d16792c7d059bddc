"""torch.compile: when it is tried, when it pays, and that it changes no more than the last digits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_loop import small_loop, weights_after, weights_of, without_key_biases

from luban.core.errors import ConfigError
from luban.training import compilation
from luban.training.compilation import Trial, has_compiler, require_compiler, try_compiling
from luban.training.vocabulary import used_vocabulary


def test_it_pays_where_it_saves_twice_its_own_cost() -> None:
    trial = Trial(plain=0.3, compiled=0.2, compiling=40.0)
    assert not trial.pays(steps=800)
    assert trial.pays(steps=801)
    assert str(trial) == "torch.compile takes 40 s and makes a step of 300 ms 1.50 times as fast"


def test_it_is_not_tried_for_a_short_training() -> None:
    def compile_it() -> None:
        raise AssertionError

    assert try_compiling(lambda: None, compile_it, steps=100) is None


def test_it_is_tried_for_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "LONG_SECONDS", 0.0)
    calls: list[str] = []
    trial = try_compiling(lambda: calls.append("step"), lambda: calls.append("compile"), steps=1)
    assert trial is not None
    assert calls == ["step"] * 5 + ["compile"] + ["step"] * 4


def test_a_machine_without_a_compiler_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert not has_compiler(torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"train.compile: expected a C\+\+ compiler .*, found none. Install one"):
        require_compiler(torch.device("cpu"))


needs_compiler = pytest.mark.skipif(not has_compiler(torch.device("cpu")), reason="there is no C++ compiler")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch.compile's own making
@needs_compiler
def test_rows_of_a_token_table_that_are_caught_up_are_compiled_around() -> None:
    found = []
    for compile_it in (False, True):
        torch.compiler.reset()
        loop = small_loop(0.0, compile=compile_it, epochs=4)
        with used_vocabulary(loop.network, [loop.train], sparse=True, min_sparse_rows=1):
            for _ in loop.run():
                pass
        found.append(without_key_biases(weights_of(loop)))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-3, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@needs_compiler
def test_a_compiled_training_ends_where_the_plain_one_does_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    plain = weights_after(small_loop(0.0))
    compiled = weights_after(small_loop(0.0, folder=tmp_path / "a", compile=True))
    found = without_key_biases(compiled)
    for name, value in without_key_biases(plain).items():
        torch.testing.assert_close(found[name], value, atol=1e-3, rtol=1e-2)
    torch.compiler.reset()
    for event in (running := small_loop(0.0, folder=tmp_path / "b", compile=True).run()):
        if getattr(event, "step", 0) == 5:
            running.close()
            break
    torch.compiler.reset()
    resumed = weights_after(small_loop(0.0, folder=tmp_path / "b", compile=True, resume=True))
    assert all(torch.equal(resumed[name], value) for name, value in compiled.items())
