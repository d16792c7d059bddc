"""The methods of attribution, by name.

Shapes: K parts of all inputs of a row
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from luban.core.errors import ConfigError, listed, nearest
from luban.explain import captum
from luban.explain.check import RANDOM_ORDERS
from luban.explain.effort import Effort
from luban.explain.question import Question
from luban.explain.stability import expected_correlation


@dataclass(frozen=True)
class Weights:
    """of_parts: (K,) float. of_points: one a view, like its point; of methods that delete whole parts, each part's
    weight over its numbers. samples: deletions that they are of. stability: the rank correlation to expect with another
    seed's weights, None of methods that draw nothing. halved: (R, K), random halves that are among the samples."""

    of_parts: Tensor
    of_points: tuple[Tensor, ...]
    samples: int = 0
    stability: float | None = None
    halved: Tensor | None = None


@dataclass(frozen=True)
class Method:
    """is_sampled: whether it draws, and so may say something else for another seed. most_parts: how many it can weigh
    with an effort, of a row whose prediction computes so many flops."""

    name: str
    weigh: Callable[[Question, int, Effort], Weights]
    is_sampled: bool
    most_parts: Callable[[Effort, float], int] | None = None


def _by_gradients(question: Question, seed: int, effort: Effort) -> Weights:
    points = tuple(view.point for view in question.views)
    baselines = tuple(view.baseline for view in question.views)
    found = captum.integrated_gradients(question.score_at, points, baselines, effort.points(question.flops))
    sums = []
    for view, weights in zip(question.views, found, strict=True):
        groups = view.groups.expand_as(weights).flatten()
        total = weights.new_zeros(len(view.parts) + 1)  # what is in no part goes to the last, which is dropped
        total.index_add_(0, groups.where(groups >= 0, len(view.parts)), weights.flatten())
        sums.append(total[:-1])
    return Weights(torch.cat(sums).detach().cpu(), tuple(weights.detach().cpu() for weights in found))


def _by_deletion(question: Question, seed: int, effort: Effort) -> Weights:
    weights = captum.occlusion(question.score, len(question.parts)).detach().float()
    return Weights(weights, _over_points(question, weights), len(weights))


def _by_samples(weigh: Callable[[captum.Score, int, int, int, int], captum.Sampled]) -> Callable[..., Weights]:
    def weighed(question: Question, seed: int, effort: Effort) -> Weights:
        """Where the check has but one step, the halves that it compares with are drawn here, and used twice."""
        samples = effort.drawn(question.flops, len(question.parts))
        halves = RANDOM_ORDERS if effort.steps(question.flops, 1 + RANDOM_ORDERS) == 1 else 0
        found = weigh(question.score, len(question.parts), samples, halves, seed)
        weights = found.weights.detach().float()
        halved = found.keep[found.keep.sum(dim=1) == len(weights) // 2]
        stability = expected_correlation(weights.double().numpy(), found.without.double().numpy())
        return Weights(weights, _over_points(question, weights), samples, stability, halved)

    return weighed


def _over_points(question: Question, weights: Tensor) -> tuple[Tensor, ...]:
    points, start = [], 0
    for view in question.views:
        own = torch.cat([weights[start : start + len(view.parts)], torch.zeros(1)])
        start += len(view.parts)
        groups = view.groups.cpu()
        sizes = torch.bincount(groups.flatten() + 1, minlength=len(own)).roll(-1).clamp(min=1)
        points.append((own / sizes)[groups].expand(view.point.shape))
    return tuple(points)


METHODS: tuple[Method, ...] = (
    Method("integrated-gradients", _by_gradients, is_sampled=False),
    Method("occlusion", _by_deletion, is_sampled=False, most_parts=Effort.deleted),
    Method("lime", _by_samples(captum.lime), is_sampled=True, most_parts=Effort.told_apart),
    Method("kernel-shap", _by_samples(captum.kernel_shap), is_sampled=True, most_parts=Effort.told_apart),
)
FILES = ("image", "audio", "sequence")  # kinds that sampled methods have too many parts for
AUTO = "auto"


def choose(name: str, kinds: set[str]) -> Method:
    """Return a method by name; `auto` is integrated gradients. Raises ConfigError where it is unknown, or not meant for
    such columns."""
    methods = {method.name: method for method in METHODS}
    if name == AUTO:
        return METHODS[0]
    if name not in methods:
        raise ConfigError(
            "--method",
            expected=f"{AUTO} or one of {listed(methods)}",
            found=f"'{name}'",
            action=f"{nearest(name, methods)}Choose one of them",
        )
    found = methods[name]
    if found.is_sampled and (unfit := sorted(kinds & set(FILES))):
        raise ConfigError(
            f"--method {name}",
            expected="columns of a table, or words: a method that draws which parts it deletes",
            found=f"a column of kind {listed(unfit)}",
            action="Choose integrated-gradients or occlusion",
        )
    return found
