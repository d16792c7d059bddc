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
from luban.explain.question import Question

SAMPLES_A_PART, FEWEST_SAMPLES, MOST_SAMPLES = 16, 64, 512


@dataclass(frozen=True)
class Weights:
    """of_parts: (K,) float. of_points: one a view, like its point; of methods that delete whole parts, each part's
    weight over its numbers."""

    of_parts: Tensor
    of_points: tuple[Tensor, ...]


@dataclass(frozen=True)
class Method:
    """is_sampled: whether it draws, and so may say something else for another seed."""

    name: str
    weigh: Callable[[Question, int], Weights]
    is_sampled: bool


def _by_gradients(question: Question, seed: int) -> Weights:
    points = tuple(view.point for view in question.views)
    baselines = tuple(view.baseline for view in question.views)
    found = captum.integrated_gradients(question.score_at, points, baselines)
    sums = []
    for view, weights in zip(question.views, found, strict=True):
        groups = view.groups.expand_as(weights).flatten()
        total = weights.new_zeros(len(view.parts) + 1)  # what is in no part goes to the last, which is dropped
        total.index_add_(0, groups.where(groups >= 0, len(view.parts)), weights.flatten())
        sums.append(total[:-1])
    return Weights(torch.cat(sums).detach().cpu(), tuple(weights.detach().cpu() for weights in found))


def _by_masks(weigh: Callable[[Question, int], Tensor]) -> Callable[[Question, int], Weights]:
    def weighed(question: Question, seed: int) -> Weights:
        weights = weigh(question, seed).detach().float()
        points, start = [], 0
        for view in question.views:
            own = torch.cat([weights[start : start + len(view.parts)], torch.zeros(1)])
            start += len(view.parts)
            groups = view.groups.cpu()
            sizes = torch.bincount(groups.flatten() + 1, minlength=len(own)).roll(-1).clamp(min=1)
            points.append((own / sizes)[groups].expand(view.point.shape))
        return Weights(weights, tuple(points))

    return weighed


def _samples(question: Question) -> int:
    return min(max(SAMPLES_A_PART * len(question.parts), FEWEST_SAMPLES), MOST_SAMPLES)


METHODS: tuple[Method, ...] = (
    Method("integrated-gradients", _by_gradients, is_sampled=False),
    Method("occlusion", _by_masks(lambda asked, seed: captum.occlusion(asked.score, len(asked.parts))), False),
    Method(
        "lime", _by_masks(lambda asked, seed: captum.lime(asked.score, len(asked.parts), _samples(asked), seed)), True
    ),
    Method(
        "kernel-shap",
        _by_masks(lambda asked, seed: captum.kernel_shap(asked.score, len(asked.parts), _samples(asked), seed)),
        is_sampled=True,
    ),
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
