"""The one file that calls on Captum (Kokhlikyan et al. 2020, arXiv:2009.07896).

Shapes: S variants, samples of them · K parts
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binom
from torch import Tensor

from luban.core.errors import ConfigError
from luban.core.runtime import seeded
from luban.explain.stability import GROUPS

AT_ONCE = 32  # variants in one forward pass
Score = Callable[[Tensor], Tensor]  # (S, K) bool, false where a part is deleted -> (S,)


def library() -> Any:
    """Return `captum.attr`. Raises ConfigError where it is not installed."""
    try:
        import captum.attr
    except ImportError as error:
        raise ConfigError(
            "luban explain",
            expected="the package captum, which does the attributions",
            found=f"'{error}'",
            action="Install it with `pip install 'luban[explain]'`",
        ) from error
    return captum.attr


def integrated_gradients(
    score: Callable[..., Tensor], points: tuple[Tensor, ...], baselines: tuple[Tensor, ...], steps: int = 16
) -> tuple[Tensor, ...]:
    """Return weights like the points, which sum up to score(points) - score(baselines) (Sundararajan et al. 2017,
    arXiv:1703.01365). steps: of the path, by Gauss-Legendre quadrature."""
    attribution = library().IntegratedGradients(score)
    found = attribution.attribute(points, baselines, n_steps=steps, internal_batch_size=AT_ONCE)
    return tuple(found)


def occlusion(score: Score, num_parts: int) -> Tensor:
    """Return (K,): how much the score falls as each part alone is deleted (Zeiler and Fergus 2014, arXiv:1311.2901)."""
    attribution = library().FeatureAblation(_of_floats(score))
    found: Tensor = attribution.attribute(torch.ones(1, num_parts), perturbations_per_eval=AT_ONCE)
    return found[0]


@dataclass(frozen=True)
class Sampled:
    """weights: (K,), of all samples. without: (G, K), each of all but one group of them. keep: (S, K), the samples,
    false where a part is deleted."""

    weights: Tensor
    without: Tensor
    keep: Tensor


def lime(score: Score, num_parts: int, samples: int, halved: int, seed: int) -> Sampled:
    """Return a ridge regression of the score of random deletions, the nearer ones weighted more (Ribeiro et al. 2016,
    arXiv:1602.04938). halved: how many of the samples delete one half of the parts, whatever else is drawn."""
    from captum._utils.models.linear_model import SkLearnRidge

    kept = torch.arange(num_parts + 1)
    shares = torch.from_numpy(binom.pmf(kept.numpy(), num_parts, 0.5)).float()
    nearness = torch.exp(-(((1 - (kept / num_parts).sqrt()) / LIME_WIDTH) ** 2))
    with seeded(seed, "explanation"):
        keep = _drawn(shares, samples, halved, num_parts)
    attribution = library().Lime(_of_floats(score), interpretable_model=SkLearnRidge(alpha=LIME_RIDGE))
    return _sampled(attribution, score, keep, shares, nearness)


LIME_WIDTH, LIME_RIDGE = 0.25, 0.01  # of the kernel over cosine distances, as in LIME's own code; of the regression


def kernel_shap(score: Score, num_parts: int, samples: int, halved: int, seed: int) -> Sampled:
    """Return Shapley values by weighted regression (Lundberg and Lee 2017, arXiv:1705.07874) of pairs of deletions, of
    some parts and of all others (Covert and Lee 2021, arXiv:2012.01536). halved: as for LIME. One part has all that
    there is."""
    if num_parts == 1:
        whole, empty = score(torch.tensor([[True], [False]]))
        weights = (whole - empty)[None]
        return Sampled(weights, weights.expand(GROUPS, 1), torch.empty(0, 1, dtype=torch.bool))
    kept = torch.arange(num_parts + 1)
    shares = (1 / (kept * (num_parts - kept)).float()).where((kept > 0) & (kept < num_parts), 0)
    shares = shares / shares.sum()
    smaller = (shares * (1 + (2 * kept < num_parts).float())).where(2 * kept <= num_parts, 0)
    with seeded(seed, "explanation"):
        keep = _with_opposites(_drawn(smaller, samples // 2, halved // 2, num_parts))
    attribution = library().KernelShap(_of_floats(score))
    infinite = torch.ones(num_parts + 1)
    infinite[[0, num_parts]] = attribution.inf_weight
    return _sampled(attribution, score, keep, shares, infinite, torch.tensor([[True], [False]]).expand(2, num_parts))


def _drawn(shares: Tensor, samples: int, halved: int, num_parts: int) -> Tensor:
    """Draw which parts are kept (S, K), as many of each size as its share (K + 1,) has, and `halved` more that keep one
    half. Those of one size are cut out of the same orders of the parts, so that each part is in as many of them."""
    points = (torch.rand(1) + torch.arange(samples - halved)) / max(1, samples - halved)
    counts = torch.bincount(torch.searchsorted(shares.cumsum(0), points).clamp(max=num_parts), minlength=num_parts + 1)
    counts[num_parts // 2] += halved
    found = []
    for size, count in enumerate(counts.tolist()):
        fewer = min(size, num_parts - size)
        # A half that is cut out beside another would be its opposite.
        cuts = 1 if fewer == 0 or 2 * fewer == num_parts else num_parts // fewer
        orders = torch.rand(-(-count // cuts), num_parts).argsort(dim=1)
        chosen = orders[:, : cuts * fewer].reshape(len(orders) * cuts, fewer)[:count]
        few = torch.zeros(count, num_parts, dtype=torch.bool).scatter_(1, chosen, torch.ones_like(chosen) > 0)
        found.append(few if size == fewer else ~few)
    return torch.cat(found)


def _with_opposites(keep: Tensor) -> Tensor:
    """Return (2S, K) of (S, K): each followed by its opposite, a sample that cancels what is even in the score."""
    return torch.stack([keep, ~keep], dim=1).flatten(0, 1)


def _sampled(
    attribution: Any, score: Score, keep: Tensor, shares: Tensor, weights: Tensor, ends: Tensor | None = None
) -> Sampled:
    """Fit all of the variants (S, K), and all but each group of them, with `ends` in each of the fits.

    shares, weights: (K + 1,), how often a variant that keeps so many parts would be drawn by itself, and what it weighs
    in the regression.
    """
    ends = torch.empty(0, keep.shape[1], dtype=torch.bool) if ends is None else ends
    scores, first = score(torch.cat([ends, keep])), len(ends)
    of_ends, of_keep = scores[:first], scores[first:]
    fits = []
    groups = torch.arange(len(keep)) // 2 % GROUPS  # a pair of opposites stays together
    for chosen in [groups >= 0, *(groups != group for group in range(GROUPS))]:
        sizes = keep[chosen].sum(dim=1)
        counts = torch.bincount(sizes, minlength=len(shares))
        of_sizes = weights * torch.where(shares > 0, shares * len(sizes) / counts.clamp(min=1), 1.0)
        fits.append(_fit(attribution, torch.cat([ends, keep[chosen]]), torch.cat([of_ends, of_keep[chosen]]), of_sizes))
    return Sampled(fits[0], torch.stack(fits[1:]), keep)


def _fit(attribution: Any, keep: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Return the weights (K,) of variants (S, K) whose scores (S,) are known. weights: (K + 1,), in the regression, of
    variants that keep so many parts."""

    def variants(original: Tensor, **_: object) -> Iterator[Tensor]:
        yield from keep[:, None].float()

    attribution.perturb_func, attribution.forward_func = variants, lambda mask: scores
    attribution.similarity_func = lambda original, variant, mask, **_: float(weights[int(mask.sum())])
    with seeded(0, "fit"), warnings.catch_warnings():  # its loader of data draws a number
        # Kernel SHAP divides by zero where it sets a probability to zero right after.
        warnings.filterwarnings("ignore", message="divide by zero")
        found: Tensor = attribution.attribute(
            torch.ones(1, keep.shape[1]),
            n_samples=len(keep),
            perturbations_per_eval=len(keep),
            return_input_shape=False,
        )
    return found.flatten()


def _of_floats(score: Score) -> Score:
    """Captum's masks are floats."""
    return lambda mask: score(mask > 0.5)
