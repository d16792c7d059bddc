"""Whether the memory of a long training is bounded: `python benchmarks/memory.py`, the resident memory by step.

Luban's own loop trains on Reuters texts of up to 128 tokens, in batches of like and of mixed lengths. The counters of
the C library tell memory in use from memory that is free and not given back.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import tempfile
from pathlib import Path
from typing import Any

import luban_side
import results
import watched

EVERY = 50  # steps between two readings
COUNTERS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Mallinfo2(ctypes.Structure):
    """The counters of glibc, in bytes but for the numbers of blocks."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in COUNTERS)


def reading(step: int) -> dict[str, int]:
    """Return the resident memory and what the C library says of its heap, in MB."""
    from luban.core.machine.resources import resident_memory

    found = {"step": step, "resident_mb": (resident_memory() or 0) // 10**6}
    library = ctypes.CDLL(None)
    if hasattr(library, "mallinfo2"):
        library.mallinfo2.restype = Mallinfo2
        heap = library.mallinfo2()
        found |= {"used_mb": (heap.uordblks + heap.hblkhd) // 10**6, "free_mb": heap.fordblks // 10**6}
    return found


def measure(grouped: bool, options: argparse.Namespace, folder: Path) -> list[dict[str, int]]:
    """Train for some steps; return the readings."""
    found: list[dict[str, int]] = []

    def listen(event: Any) -> None:
        if type(event).__name__ == "StepDone" and event.step % EVERY == 0:
            found.append(reading(event.step))
            print(found[-1], flush=True)
            if event.step >= options.steps:
                raise watched.Enough

    heads = options.width // 32
    tokens = {"architecture": "transformer", "layers": options.layers, "width": options.width, "heads": heads}
    job: dict[str, Any] = {
        "luban": {"train": {"group_by_length": grouped, "precision": options.precision}},
        "train": "sample:reuters-r8/train.csv",
        "test": "sample:reuters-r8/test.csv",
        "target": "label",
        "model": "minilm",
        "epochs": 1000,
        "batch_size": options.batch_size,
        "learning_rate": 1e-4,
        "max_length": 128,
        "seed": 0,
        "device": options.device,
        "work": str(folder),
        "luban_set": {"train.compile": False},
    }
    if options.layers:
        job["model"] = None
        job["luban"] |= {"model": {"tokens": tokens}, "features": {"text": {"max_length": 128}}}
    try:
        luban_side.watch(luban_side.settings(job), listen)
    except watched.Enough:
        return found
    raise RuntimeError("the training ended before enough was seen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--layers", type=int, default=0, help="of a Transformer from scratch; 0 fine-tunes MiniLM")
    parser.add_argument("--width", type=int, default=384, help="of the Transformer; MiniLM's by default")
    parser.add_argument("--lengths", choices=("grouped", "random"), default="grouped")
    parser.add_argument("--unbounded", action="store_true", help="leave what is free to the C library")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=results.RESULTS / "memory.json", help="the result file")
    options = parser.parse_args()
    if options.unbounded:
        from luban.core.machine import heap

        heap.EVERY = 2**62
    entry = results.new_entry(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        readings = measure(options.lengths == "grouped", options, Path(folder))
    network = f"{options.layers} layers of {options.width}" if options.layers else "minilm"
    bound = "unbounded" if options.unbounded else "bounded"
    entry["claims"][f"{network}, {options.lengths}, {bound}"] = {"batch_size": options.batch_size, "readings": readings}
    results.record(options.output, entry)


if __name__ == "__main__":
    main()
