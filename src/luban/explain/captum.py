"""The one file that calls on Captum (Kokhlikyan et al. 2020, arXiv:2009.07896).

Shapes: S variants, samples of them · K parts
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luban.core.errors import ConfigError
from luban.core.runtime import seeded

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
    """weights: (K,), of all samples. halves: (K,) each, of the first and of the second half of them."""

    weights: Tensor
    halves: tuple[Tensor, Tensor]


def lime(score: Score, num_parts: int, samples: int, seed: int) -> Sampled:
    """Return a ridge regression of the score of random deletions, the nearer ones weighted more (Ribeiro et al. 2016,
    arXiv:1602.04938)."""
    from captum._utils.models.linear_model import SkLearnRidge

    def nearness(original: Tensor, variant: Tensor, mask: Tensor, **_: object) -> float:
        return float(torch.exp(-(((1 - mask.float().mean().sqrt()) / LIME_WIDTH) ** 2)))

    attribution = library().Lime(
        _of_floats(score), interpretable_model=SkLearnRidge(alpha=LIME_RIDGE), similarity_func=nearness
    )
    with seeded(seed, "explanation"):
        keep = torch.rand(samples, num_parts) < 0.5
    return _sampled(attribution, score, keep, torch.empty(0, num_parts, dtype=torch.bool))


LIME_WIDTH, LIME_RIDGE = 0.25, 0.01  # of the kernel over cosine distances, as in LIME's own code; of the regression


def kernel_shap(score: Score, num_parts: int, samples: int, seed: int) -> Sampled:
    """Return Shapley values by weighted regression (Lundberg and Lee 2017, arXiv:1705.07874) of pairs of deletions, of
    some parts and of all others (Covert and Lee 2021, arXiv:2012.01536). One part has all that there is."""
    ends = torch.tensor([[True], [False]]).expand(2, num_parts)
    if num_parts == 1:
        whole, empty = score(ends)
        weights = (whole - empty)[None]
        return Sampled(weights, (weights, weights))
    sizes = torch.arange(1, num_parts)
    shares = 1 / (sizes * (num_parts - sizes)).float()
    with seeded(seed, "explanation"):
        kept = sizes[torch.multinomial(shares, samples // 2, replacement=True)]
        ranks = torch.rand(samples // 2, num_parts).argsort(dim=1).argsort(dim=1)
    return _sampled(library().KernelShap(_of_floats(score)), score, _with_opposites(ranks < kept[:, None]), ends)


def _with_opposites(keep: Tensor) -> Tensor:
    """Return (2S, K) of (S, K): each followed by its opposite, a sample that cancels what is even in the score."""
    return torch.stack([keep, ~keep], dim=1).flatten(0, 1)


def _sampled(attribution: Any, score: Score, keep: Tensor, ends: Tensor) -> Sampled:
    """Fit all of the variants (S, K), and each half of them, with `ends` in each of the three."""
    scores, middle, first = score(torch.cat([ends, keep])), len(keep) // 2, len(ends)
    of_ends, of_keep = scores[:first], scores[first:]
    fits = [
        _fit(attribution, torch.cat([ends, keep[part]]), torch.cat([of_ends, of_keep[part]]))
        for part in (slice(None), slice(middle), slice(middle, None))
    ]
    return Sampled(fits[0], (fits[1], fits[2]))


def _fit(attribution: Any, keep: Tensor, scores: Tensor) -> Tensor:
    """Return the weights (K,) of variants (S, K) whose scores (S,) are known."""

    def variants(original: Tensor, **_: object) -> Iterator[Tensor]:
        yield from keep[:, None].float()

    attribution.perturb_func, attribution.forward_func = variants, lambda mask: scores
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
