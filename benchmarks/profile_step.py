"""Where the time of a training step goes: `python benchmarks/profile_step.py`, a table of operators for each claim.

Steps of Luban's own loop under torch.profiler, whose own cost is in the figures: shares are to be read, not times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import results
import watched

CLAIMS = ("mrpc", "banking77", "mnist", "cifar10", "adult")
WARM_UP = 5  # steps
TOP = 20  # operators


def measure(claim: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Profile some steps; return the operators that take most of them."""
    from torch.profiler import ProfilerActivity, profile

    profiler = profile(activities=[ProfilerActivity.CPU])
    steps: list[Any] = []

    def listen(event: Any) -> None:
        if type(event).__name__ != "StepDone":
            return
        steps.append(event)
        if len(steps) == WARM_UP:
            profiler.start()
        elif len(steps) == WARM_UP + options.steps:
            profiler.stop()
            raise watched.Enough

    watched.run(watched.job(claim, options, folder), {"train.precision": options.precision}, listen)
    timed = steps[WARM_UP:]
    operators = sorted(profiler.key_averages(), key=lambda found: -found.self_cpu_time_total)
    total = sum(found.self_cpu_time_total for found in operators)
    table = [
        {
            "operator": found.key,
            "share": round(found.self_cpu_time_total / total, 4),
            "calls_a_step": round(found.count / len(timed), 1),
        }
        for found in operators[:TOP]
    ]
    seconds = sum(step.seconds for step in timed) / len(timed)
    print(f"\n{claim}: {seconds * 1000:.2f} ms a step of {timed[0].rows} rows under the profiler")
    for line in table:
        print(f"  {line['share']:6.1%}  {line['calls_a_step']:7.1f} a step  {line['operator']}")
    print(end="", flush=True)
    found = {"rows": timed[0].rows, "steps": len(timed), "step_seconds": round(seconds, 6), "operators": table}
    return {options.precision: found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", nargs="+", default=list(CLAIMS), choices=CLAIMS)
    parser.add_argument("--steps", type=int, default=20, help="under the profiler")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    watched.add_options(parser, "profile")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when torch is imported, which is later
    entry = results.new_entry(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        for claim in options.claims:
            entry["claims"][claim] = measure(claim, options, Path(folder))
            results.record(options.output, entry)


if __name__ == "__main__":
    main()
