"""Whether an explanation holds: does deleting what it names change the prediction more than deleting at random?

The deletion curve is that of Samek et al. 2017 (arXiv:1509.06321) and RISE (Petsiuk et al. 2018, arXiv:1806.07421).
Shapes: K parts · S steps · R random orders
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.core.sentence import Sentence, sentence, with_parts
from luban.explain.effort import THOROUGH, Effort
from luban.explain.question import Question

LARGEST_SHARE = 0.5  # of the parts, that the curve goes up to in steps of like size
RANDOM_ORDERS = 20
BEATEN_SHARE = 0.95  # of the random orders must change the prediction no more than the explanation's
SMALLEST_CHANGE = {True: 0.05, False: 1e-3}  # in log odds, more than bfloat16 is off by, or in standard deviations
STABLE = 0.6  # rank correlation with the weights of another seed
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """deletion, random: the mean change over the deletion curve, in log odds (nats), or in standard deviations of the
    target; stability: the rank correlation to expect with another seed's weights, None of methods that draw nothing."""

    deletion: float
    random: float
    stability: float | None
    passes: bool
    sentence: Sentence

    def to_json(self) -> dict[str, Any]:
        return with_parts(vars(self))


def check(
    question: Question,
    weights: Floats,
    stability: float | None,
    seed: int,
    effort: Effort = THOROUGH,
    halved: Tensor | None = None,
) -> Check:
    """Check the weights (K,) of a row's parts. stability: of methods that draw. halved: (R, K), false where a part is
    deleted, random halves that they drew; a curve of one step compares with these."""
    count = len(weights)
    if count < 2:
        return Check(0.0, 0.0, None, False, _unchecked(count))
    draw = np.random.default_rng(seed)
    orders = np.stack([order_of(question, weights), *(draw.permutation(count) for _ in range(RANDOM_ORDERS))])
    shares = np.linspace(0, LARGEST_SHARE, effort.steps(question.flops, len(orders)) + 1)[1:]
    steps = np.unique(np.ceil(shares * count).astype(int)).clip(1, count - 1)
    keep = kept(orders, steps)
    if halved is not None and len(steps) == 1:
        like = halved[(~halved).sum(dim=1) == int(steps[0])][:RANDOM_ORDERS]
        keep[1 : 1 + len(like), 0] = like
    areas = deletion_areas(question, keep)
    deletion, random = float(areas[0]), float(areas[1:].mean())
    equal = int((areas[1:] > areas[0] - 1e-9).sum())
    is_label = question.answer.position is not None
    tells = deletion > random + SMALLEST_CHANGE[is_label] and equal <= (1 - BEATEN_SHARE) * RANDOM_ORDERS
    is_stable = stability is None or stability >= STABLE
    told = _unstable(stability) if tells and not is_stable else _told(deletion, random, equal, is_label, tells)
    return Check(deletion, random, stability, tells and is_stable, told)


def _unchecked(parts: int) -> Sentence:
    if parts:
        return sentence(
            "explanation.one_part",
            "It cannot be checked: the row has only one part, so that every order of deletion is alike.",
        )
    return sentence("explanation.no_part", "It cannot be checked: the row has no part that could be deleted.")


def _unstable(stability: float | None) -> Sentence:
    return sentence(
        "explanation.unstable",
        "It does not hold: another seed would rank the parts differently (a rank correlation of {stability:.2f} is to "
        "be expected), so do not rely on it.",
        stability=stability,
    )


def _told(deletion: float, random: float, equal: int, is_label: bool, holds: bool) -> Sentence:
    values = {
        "deletion": deletion,
        "random": random,
        "unit": "nats of log odds" if is_label else "standard deviations",
    }
    if holds:
        return sentence(
            "explanation.holds",
            "It holds: deleting what it names changes the prediction more than deleting at random "
            "(by {deletion:.3f} {unit} on average, {random:.3f} at random).",
            **values,
        )
    return sentence(
        "explanation.fails",
        "It does not hold: deleting what it names changes the prediction hardly more than deleting at random "
        "(by {deletion:.3f} {unit} on average, {random:.3f} at random; {equal} of {orders} random orders change it as "
        "much), so do not rely on it.",
        **values,
        equal=equal,
        orders=RANDOM_ORDERS,
    )


def order_of(question: Question, weights: Floats) -> npt.NDArray[np.int64]:
    """Return in which order to delete the parts: of a label what speaks most for it first; of a value what moves it
    most in the direction in which all parts together do."""
    direction = 1.0
    if question.answer.position is None:
        keep = torch.tensor([[True], [False]]).expand(2, len(weights))
        whole, empty = question.level(keep).tolist()
        direction = math.copysign(1.0, whole - empty)
    return np.argsort(-direction * weights, kind="stable").astype(np.int64)


def kept(orders: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> Tensor:
    """Return (R, S, K) bool, false where a part is deleted: after each step (S,), a number of parts, in each order."""
    keep = torch.ones(len(orders), len(steps), orders.shape[1], dtype=torch.bool)
    for row, order in enumerate(orders):
        for place, deleted in enumerate(steps):
            keep[row, place, order[:deleted].copy()] = False
    return keep


def deletion_areas(question: Question, keep: Tensor) -> Floats:
    """Return (R,): how far the prediction changes as parts are deleted (R, S, K), a mean over steps."""
    whole = torch.ones(1, keep.shape[2], dtype=torch.bool)
    levels = question.level(torch.cat([whole, keep.flatten(0, 1)])).double().numpy()
    changes = levels[0] - levels[1:].reshape(keep.shape[:2])
    if question.answer.position is None:
        changes = np.abs(changes)
    areas: Floats = changes.mean(axis=1)
    return areas
