"""The one file that calls on Captum (Kokhlikyan et al. 2020, arXiv:2009.07896).

Shapes: S variants · K parts
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from luban.core.errors import ConfigError
from luban.core.runtime import seeded

STEPS = 16  # of the path, by Gauss-Legendre quadrature
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
    score: Callable[..., Tensor], points: tuple[Tensor, ...], baselines: tuple[Tensor, ...], steps: int = STEPS
) -> tuple[Tensor, ...]:
    """Return weights like the points, which sum up to score(points) - score(baselines) (Sundararajan et al. 2017,
    arXiv:1703.01365)."""
    attribution = library().IntegratedGradients(score)
    found = attribution.attribute(points, baselines, n_steps=steps, internal_batch_size=AT_ONCE)
    return tuple(found)


def occlusion(score: Score, num_parts: int) -> Tensor:
    """Return (K,): how much the score falls as each part alone is deleted (Zeiler and Fergus 2014, arXiv:1311.2901)."""
    attribution = library().FeatureAblation(_of_floats(score))
    found: Tensor = attribution.attribute(torch.ones(1, num_parts), perturbations_per_eval=AT_ONCE)
    return found[0]


def lime(score: Score, num_parts: int, samples: int, seed: int) -> Tensor:
    """Return (K,): a ridge regression of the score of random deletions, the nearer ones weighted more (Ribeiro et al.
    2016, arXiv:1602.04938)."""
    from captum._utils.models.linear_model import SkLearnRidge

    def nearness(original: Tensor, variant: Tensor, mask: Tensor, **_: object) -> float:
        return float(torch.exp(-(((1 - mask.float().mean().sqrt()) / LIME_WIDTH) ** 2)))

    attribution = library().Lime(
        _of_floats(score), interpretable_model=SkLearnRidge(alpha=LIME_RIDGE), similarity_func=nearness
    )
    return _sampled(attribution, num_parts, samples, seed)


LIME_WIDTH, LIME_RIDGE = 0.25, 0.01  # of the kernel over cosine distances, as in LIME's own code; of the regression


def kernel_shap(score: Score, num_parts: int, samples: int, seed: int) -> Tensor:
    """Return (K,): Shapley values by weighted regression (Lundberg and Lee 2017, arXiv:1705.07874). One part has all
    that there is."""
    if num_parts == 1:
        return score(torch.ones(1, 1) > 0) - score(torch.zeros(1, 1) > 0)
    return _sampled(library().KernelShap(_of_floats(score)), num_parts, samples, seed)


def _sampled(attribution: Any, num_parts: int, samples: int, seed: int) -> Tensor:
    with seeded(seed, "explanation"), warnings.catch_warnings():
        # Kernel SHAP divides by zero where it sets a probability to zero right after.
        warnings.filterwarnings("ignore", message="divide by zero")
        found: Tensor = attribution.attribute(
            torch.ones(1, num_parts), n_samples=samples, perturbations_per_eval=AT_ONCE, return_input_shape=False
        )
    return found.flatten()


def _of_floats(score: Score) -> Score:
    """Captum's masks are floats."""
    return lambda mask: score(mask > 0.5)
