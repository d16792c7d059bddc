"""How far Luban's fine-tuning step is from what the machine's matrix products allow: `python benchmarks/gemm.py`.

Measures the products of MiniLM's linear layers, forward and both backward, at the mean number of tokens of a batch, in
float32 and bfloat16; then Luban's own steps on MRPC and banking77. A step needs 6 FLOPs a weight and token. Attention,
embeddings, norms and the optimizer are no part of the limit, so that 100 % cannot be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import results
import watched

WARM_UP = 5  # steps
REPEATS, BUDGET = 20, 3.0  # of one product, seconds in all: bfloat16 is slow where it is emulated


def seconds_of(function: Callable[[], Any]) -> float:
    """Return the median time of a call."""
    function()
    found: list[float] = []
    while len(found) < REPEATS and (sum(found) < BUDGET or not found):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def linear_layers(checkpoint: Path) -> list[tuple[int, int, int]]:
    """Return the shapes of a BERT's linear layers: width in, width out, how many."""
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    width, wide, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    return [(width, width, 4 * layers), (width, wide, layers), (wide, width, layers)]


def limit(checkpoint: Path, tokens: int, dtype_name: str) -> dict[str, Any]:
    """Time the products of one step. Returns their seconds, GFLOP/s, and the GFLOPs of the step."""
    import torch

    dtype = getattr(torch, dtype_name)
    seconds, flops, shapes = 0.0, 0, {}
    for width_in, width_out, count in linear_layers(checkpoint):
        x_NI, w_OI = torch.randn(tokens, width_in).to(dtype), torch.randn(width_out, width_in).to(dtype)
        dy_NO = torch.randn(tokens, width_out).to(dtype)
        products: list[Callable[[], Any]] = [
            lambda x=x_NI, w=w_OI: x @ w.T,
            lambda dy=dy_NO, w=w_OI: dy @ w,
            lambda dy=dy_NO, x=x_NI: dy.T @ x,
        ]
        took = sum(map(seconds_of, products))
        work = 6 * tokens * width_in * width_out
        shapes[f"{tokens}x{width_in}x{width_out}"] = round(work / took / 1e9, 1)
        seconds += count * took
        flops += count * work
    return {
        "seconds": round(seconds, 5),
        "gflops": round(flops / seconds / 1e9, 1),
        "shapes": shapes,
        "work": flops / 1e9,
    }


def measure(claim: str, options: argparse.Namespace, dtype_name: str, folder: Path) -> dict[str, Any]:
    """Run Luban for some steps; compare them with the limit."""
    steps: list[Any] = []

    def listen(event: Any) -> None:
        if type(event).__name__ == "StepDone":
            steps.append(event)
            if len(steps) == WARM_UP + options.steps:
                raise watched.Enough

    job = watched.job(claim, options, folder)
    watched.run(job, {"train.precision": dtype_name}, listen)
    timed = steps[WARM_UP:]
    tokens = round(statistics.mean(step.tokens for step in timed))
    seconds = statistics.mean(step.seconds for step in timed)
    allowed = limit(Path(job["model"]), tokens, dtype_name)
    found = {
        "steps": len(timed),
        "tokens": tokens,
        "rows": timed[0].rows,
        "step_seconds": round(seconds, 5),
        "rows_a_second": round(timed[0].rows / seconds, 1),
        "step_gflops": round(allowed["work"] / seconds, 1),
        "gemm": {name: allowed[name] for name in ("seconds", "gflops", "shapes")},
        "share_of_limit": round(allowed["seconds"] / seconds, 3),
    }
    print(
        f"{claim}, {dtype_name}: {tokens} tokens a step, {seconds * 1000:.0f} ms, {found['rows_a_second']} rows/s, "
        f"{found['step_gflops']} GFLOP/s; the products alone {allowed['seconds'] * 1000:.0f} ms at {allowed['gflops']} "
        f"GFLOP/s: {found['share_of_limit']:.0%} of the limit",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", nargs="+", default=["mrpc", "banking77"], choices=["mrpc", "banking77"])
    has_bfloat16 = results.has_bfloat16(results.hardware())
    dtypes = ["float32", "bfloat16"] if has_bfloat16 else ["float32"]
    parser.add_argument("--dtypes", nargs="+", default=dtypes, choices=["float32", "bfloat16"])
    parser.add_argument("--steps", type=int, default=40)
    watched.add_options(parser, "gemm")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when torch is imported, which is later
    entry = results.new_entry(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        for claim in options.claims:
            for dtype_name in options.dtypes:
                found = measure(claim, options, dtype_name, Path(folder))
                entry["claims"].setdefault(claim, {})[dtype_name] = found
                results.record(options.output, entry)


if __name__ == "__main__":
    main()
