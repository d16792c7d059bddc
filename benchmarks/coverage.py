"""How often 95 % intervals hold the truth: every metric of every task, few rows and many, weak models and strong.

Each trial draws a model's strength, rows of a population in which that model's true scores are known from 200,000 rows,
and asks for intervals. Written to results/coverage.json, in per cent, with the share of two equal models whose
difference is called real.

    python benchmarks/coverage.py [--trials 240] [--rows 20 60] [--processes 2]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from luban.evaluation.scores.scoring import compare_rows, score_rows
from luban.tasks import metrics
from luban.tasks.base import Metric

Array = npt.NDArray[Any]
RESULT = Path(__file__).resolve().parent / "results" / "coverage.json"
KNOWN_ROWS = 200_000  # that true scores are measured on
STRENGTHS = 9  # of a model, from weak to strong
SHARED = 0.7  # of the noise of two models is the same
MIN_CLASS = 5  # rows of a class, below which trials are counted apart


@dataclass(frozen=True)
class Population:
    """draw(generator, rows, strength) -> targets, and the outputs of two models of that strength."""

    draw: Callable[[np.random.Generator, int, float], tuple[Array, Array, Array]]
    metrics: Sequence[Metric]
    weakest: float
    strongest: float


def noises(draw: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return two normal noises, of which a share is the same."""
    common, one, other = (draw.normal(size=shape) for _ in range(3))
    shared, own = np.sqrt(SHARED), np.sqrt(1 - SHARED)
    return shared * common + own * one, shared * common + own * other


def classes(shares: Sequence[float]) -> Callable[..., tuple[Array, Array, Array]]:
    """One class a row; the logit of the true one is higher, by as much as the model is strong."""

    def drawn(draw: np.random.Generator, rows: int, strength: float) -> tuple[Array, Array, Array]:
        targets = draw.choice(len(shares), rows, p=shares)
        prior, outputs = np.log(shares), list[Array]()
        for noise in noises(draw, (rows, len(shares))):
            noise[np.arange(rows), targets] += strength
            outputs.append(softmax(strength * noise + prior, axis=1))
        return targets, outputs[0], outputs[1]

    return drawn


def labels(count: int, share: float) -> Callable[..., tuple[Array, Array, Array]]:
    """Several labels a row, which come together more often than by chance."""

    def drawn(draw: np.random.Generator, rows: int, strength: float) -> tuple[Array, Array, Array]:
        often = draw.beta(2, 2 / share - 2, size=(rows, 1))
        targets = (draw.random((rows, count)) < often).astype(np.uint8)
        one, other = (
            expit(strength * (noise + strength * (targets - 0.5)) + np.log(share / (1 - share)))
            for noise in noises(draw, (rows, count))
        )
        return targets, one, other

    return drawn


def numbers(law: str) -> Callable[..., tuple[Array, Array, Array]]:
    """A number a row, its errors by some law; strength: the share of the variance that is explained."""

    def errors(draw: np.random.Generator, rows: int) -> Array:
        if law == "Laplace":
            return draw.laplace(size=rows) / np.sqrt(2)
        if law == "lognormal":
            return (draw.lognormal(size=rows) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
        return draw.normal(size=rows)

    def drawn(draw: np.random.Generator, rows: int, strength: float) -> tuple[Array, Array, Array]:
        known, unknown = draw.normal(size=rows) * np.sqrt(strength), errors(draw, rows) * np.sqrt(1 - strength)
        wobble = [draw.normal(size=rows) * np.sqrt((1 - strength) / 10) for _ in range(2)]
        return known + unknown, known + wobble[0], known + wobble[1]

    return drawn


POPULATIONS = {
    "two classes": Population(classes((0.5, 0.5)), metrics.BINARY, 0.7, 2.8),
    "two classes, one in five": Population(classes((0.8, 0.2)), metrics.BINARY, 0.7, 2.8),
    "three classes": Population(classes((0.4, 0.3, 0.3)), metrics.MULTICLASS, 1.0, 3.0),
    "four labels": Population(labels(4, 0.4), metrics.MULTI_LABEL, 1.5, 3.5),
    "numbers, normal errors": Population(numbers("normal"), metrics.REGRESSION, 0.2, 0.95),
    "numbers, Laplace errors": Population(numbers("Laplace"), metrics.REGRESSION, 0.2, 0.95),
    "numbers, lognormal errors": Population(numbers("lognormal"), metrics.REGRESSION, 0.2, 0.95),
}


@cache
def truth(name: str, place: int) -> tuple[float, dict[str, float]]:
    """Return a strength and the true scores of a model of it."""
    population = POPULATIONS[name]
    strength = float(np.linspace(population.weakest, population.strongest, STRENGTHS)[place])
    targets, outputs, _ = population.draw(np.random.default_rng(place), KNOWN_ROWS, strength)
    ones = np.ones((1, len(targets)))
    return strength, {metric.name: float(metric.compute(targets, outputs, ones)[0]) for metric in population.metrics}


def has_few(targets: Array, outputs: Array) -> bool:
    """Tell whether a class or label has fewer than five rows, or a label is missing in fewer."""
    if outputs.ndim == 1:
        return False
    counts = np.bincount(targets, minlength=outputs.shape[1]) if targets.ndim == 1 else targets.sum(axis=0)
    return bool(min(counts.min(), np.inf if targets.ndim == 1 else len(targets) - counts.max()) < MIN_CLASS)


def trials(name: str, rows: int, count: int, resamples: int, seed: int) -> list[tuple[bool, str, bool | None, bool]]:
    """Return for each trial and metric whether a class has few rows, the metric's name, whether the interval holds the
    truth (None where there is none), and whether two equal models were called different."""
    found, population = list[tuple[bool, str, bool | None, bool]](), POPULATIONS[name]
    for trial in range(count):
        draw = np.random.default_rng([seed, rows, trial])
        strength, true = truth(name, int(draw.integers(STRENGTHS)))
        targets, outputs, others = population.draw(draw, rows, strength)
        scores = score_rows(population.metrics, targets, outputs, resamples, trial)
        pair = (population.metrics, population.metrics)
        differences = compare_rows(pair, targets, (outputs, others), resamples, trial)
        few = has_few(targets, outputs)
        for metric, score in scores.items():
            held = None if np.isnan(score.low) else bool(score.low <= true[metric] <= score.high)
            apart = differences[metric]
            found.append((few, metric, held, bool(apart.low > 0 or apart.high < 0)))
    return found


def per_cent(flags: Iterable[bool]) -> float | None:
    values = list(flags)
    return round(100 * sum(values) / len(values), 1) if values else None


def summarised(found: list[tuple[bool, str, bool | None, bool]]) -> dict[str, dict[str, Any]]:
    """Return, of each metric, coverage (few: of trials with a class of few rows) and false differences, per cent."""
    return {
        name: {
            "covered": per_cent(held for _, metric, held, _ in found if metric == name and held is not None),
            "covered_few": per_cent(
                held for few, metric, held, _ in found if metric == name and held is not None and few
            ),
            "trials": sum(metric == name for _, metric, _, _ in found),
            "trials_few": sum(metric == name and few for few, metric, _, _ in found),
            "false_differences": per_cent(apart for _, metric, _, apart in found if metric == name),
        }
        for name in dict.fromkeys(metric for _, metric, _, _ in found)
    }


def measure(
    names: Sequence[str], rows: Sequence[int], count: int, resamples: int, processes: int = 1
) -> dict[str, dict[str, Any]]:
    """Return by population and number of rows what was found."""
    parts = 4 if processes > 1 else 1
    jobs = [(name, size, count // parts, resamples, seed) for name in names for size in rows for seed in range(parts)]
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            done = list(pool.map(trials, *zip(*jobs, strict=True)))
    else:
        done = [trials(*job) for job in jobs]
    found: dict[str, dict[str, Any]] = {}
    for (name, size, *_), own in zip(jobs, done, strict=True):
        found.setdefault(name, {}).setdefault(str(size), []).extend(own)
    return {name: {size: summarised(own) for size, own in sizes.items()} for name, sizes in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--resamples", type=int, default=600)
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    found = measure(list(POPULATIONS), arguments.rows, arguments.trials, arguments.resamples, arguments.processes)
    told = {"trials": arguments.trials, "resamples": arguments.resamples, "min_class": MIN_CLASS, "found": found}
    arguments.output.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
