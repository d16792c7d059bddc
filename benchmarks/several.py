"""Two targets of Adult in one training against a training of each: `python benchmarks/several.py adult.csv`.

All runs of a seed have the same inputs (the columns but both targets), split and settings. Written to
benchmarks/results/several.json: the scores of each seed, and over all of them McNemar's test of the right answers and
the mean differences by row with their 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import binomtest

RESULTS = Path(__file__).resolve().parent / "results" / "several.json"
INCOME, HOURS = "income", "hours_per_week"
BARE = (
    *("evaluate.robustness=false", "evaluate.learning_curve=false", "data.audit_seconds=0"),
    *("data.split.method=random", "train.preflight=false"),
)


def trained(
    data: Path, seed: int, target: str, ignored: str | None, folder: Path, more: Sequence[str] = ()
) -> pl.DataFrame:
    """Train in a fresh process; return the predictions of the test rows."""
    settings = [
        *BARE,
        *more,
        f"data.split.seed={seed}",
        *([] if ignored is None else [f"data.columns={{{ignored}: ignore}}"]),
    ]
    command = [sys.executable, "-m", "luban.cli", "train", str(data), "--target", target, "--seed", str(seed)]
    command += ["--runs", str(folder), "--name", f"{target}-{seed}", "--quiet"]
    subprocess.run([*command, *(part for setting in settings for part in ("--set", setting))], check=True)
    return pl.read_parquet(folder / f"{target}-{seed}" / "predictions.parquet")


def right(found: pl.DataFrame) -> npt.NDArray[np.bool_]:
    return (found[f"predicted_{INCOME}"] == found[f"actual_{INCOME}"]).to_numpy()


def log_losses(found: pl.DataFrame, probability: str) -> npt.NDArray[np.float64]:
    sure = np.clip(found[probability].cast(pl.Float64).to_numpy(), 1e-7, 1 - 1e-7)
    return -np.log(np.where(found[f"actual_{INCOME}"].to_numpy() == ">50K", sure, 1 - sure))


def squares(found: pl.DataFrame) -> npt.NDArray[np.float64]:
    errors = found[f"predicted_{HOURS}"] - found[f"actual_{HOURS}"].cast(pl.Float64)
    return np.asarray(errors.to_numpy() ** 2, np.float64)


def interval(differences: list[npt.NDArray[np.float64]]) -> dict[str, float]:
    """Return the mean over rows with its 95 % interval."""
    values = np.concatenate(differences)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    sizes = {"data.max_rows": arguments.rows, "train.epochs": arguments.epochs}
    more = [f"{name}={size}" for name, size in sizes.items() if size is not None]
    seeds, alone, losses, errors = [], np.zeros(2, int), [], []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            both = trained(arguments.data, seed, f"{INCOME},{HOURS}", None, Path(folder), more)
            income = trained(arguments.data, seed, INCOME, HOURS, Path(folder), more)
            hours = trained(arguments.data, seed, HOURS, INCOME, Path(folder), more)
        assert both["row"].equals(income["row"])
        assert both["row"].equals(hours["row"])
        alone += [int((right(both) & ~right(income)).sum()), int((right(income) & ~right(both)).sum())]
        losses.append(log_losses(income, "probability_>50K") - log_losses(both, f"probability_{INCOME}_>50K"))
        errors.append(squares(hours) - squares(both))
        seeds.append(
            {
                "seed": seed,
                "rows": len(both),
                "accuracy": {"together": float(right(both).mean()), "apart": float(right(income).mean())},
                "mse": {"together": float(squares(both).mean()), "apart": float(squares(hours).mean())},
            }
        )
        print(seeds[-1], flush=True)
    found = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seeds": seeds,
        "right_together_alone": int(alone[0]),
        "right_apart_alone": int(alone[1]),
        "mcnemar_p": float(binomtest(int(alone[0]), int(alone.sum())).pvalue) if alone.sum() else 1.0,
        "log_loss_gained_together": interval(losses),
        "mse_gained_together": interval(errors),
    }
    arguments.output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    print(json.dumps({name: value for name, value in found.items() if name != "seeds"}, indent=1))


if __name__ == "__main__":
    main()
