"""What AdamW does to a row in steps in which it has no gradient, summed up in a few numbers.

Legend: S rows' last steps, J skipped steps that still count, T steps that are remembered, K nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from luban.core.errors import ConfigError

Floats = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-9  # of the first skipped update; smaller ones are left out
NODES, LATE_NODES = 4, 2  # of the quadrature: early, while 1 - beta2^t still grows fast, and later
LATE = 0.8  # sqrt(1 - beta2^t) from which it is later
MIN_SPREAD = 1e-20  # of squared relative distances; nearer points are one
FIRST_CAPACITY = 256


@dataclass(frozen=True)
class CatchUp:
    """Numbers for each last step: a row w with the moments m and v becomes
    w * decay - m * sum over k of weights_k / (sqrt(v) + eps_k), its moments m * first_decay and v * second_decay.
    """

    decay_S: Floats
    first_decay_S: Floats
    second_decay_S: Floats
    weights_SK: Floats
    eps_SK: Floats


class SkippedSteps:
    """The learning rates of the steps that some row may still have to catch up on.

    In step t AdamW takes lr_t / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps) from a weight (Loshchilov & Hutter
    2019, arXiv:1711.05101). The j-th step without a gradient after the moments m and v is therefore
    w_j m / (sqrt(v) + e_j), with w_j = lr_t sqrt(1 - beta2^t) / (1 - beta1^t) (beta1 / sqrt(beta2))^j, times the weight
    decay of the steps after it, and e_j = eps sqrt(1 - beta2^t) beta2^(-j/2). w_j and e_j are the same for all rows of
    the same last step, whose sum over j is taken as that of a Gauss quadrature: a few nodes with as many moments of e
    under w as they can hold. What is neglected is of the order 2 NODES in the relative spread of e_j.
    """

    def __init__(self, beta1: float, beta2: float, eps: float, weight_decay: float, first: int = 0) -> None:
        """first: the step up to which all rows are caught up."""
        assert 0 <= beta1 < beta2**0.5 < 1, "the skipped updates would not die out"
        assert eps > 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.first, self.count = first, 0
        ratio = beta1 / beta2**0.5
        horizon = max(1, int(np.ceil(np.log(NEGLIGIBLE) / np.log(ratio)))) if ratio else 1
        powers_J = np.arange(1, horizon + 1)
        self.ratios_J = ratio**powers_J
        self.growth_J = eps * beta2 ** (-0.5 * powers_J)
        self._lines = np.zeros((4, FIRST_CAPACITY + horizon))  # rates, sizes w of steps, roots, log of the decay before

    @property
    def step(self) -> int:
        """The last step that is known."""
        return self.first + self.count

    @property
    def rates(self) -> Floats:
        """(T,): the learning rates of the steps after `first`."""
        rates: Floats = self._lines[0, : self.count].copy()
        return rates

    def append(self, rate: float) -> None:
        """Remember a step. Raises ConfigError where its decay would turn weights around."""
        if rate * self.weight_decay >= 1:
            raise ConfigError(
                "train.optim.weight_decay",
                expected="a decay below 1 / learning rate",
                found=f"{self.weight_decay:g} at learning rate {rate:g}",
                action="Lower one of the two",
            )
        if self.count + len(self.ratios_J) >= self._lines.shape[1]:
            self._lines = np.concatenate([self._lines, np.zeros_like(self._lines)], 1)
        rates_T, sizes_T, roots_T, logs_T = self._lines
        t = self.step + 1
        root = (1 - self.beta2**t) ** 0.5
        rates_T[self.count], sizes_T[self.count], roots_T[self.count] = rate, rate * root / (1 - self.beta1**t), root
        logs_T[self.count + 1] = logs_T[self.count] + math.log1p(-rate * self.weight_decay)
        self.count += 1

    def forget(self) -> None:
        """Drop what is remembered: every row is caught up."""
        self.first, self.count = self.step, 0
        self._lines = np.zeros((4, FIRST_CAPACITY + len(self.ratios_J)))

    def since(self, last_S: npt.NDArray[np.int64]) -> CatchUp:
        """Sum up the steps after each of the given ones (S,), all of which lie from `first` up to before `step`."""
        assert last_S.min() >= self.first
        assert last_S.max() < self.step
        gaps_S, starts_S = self.step - last_S, last_S - self.first
        horizon = min(len(self.ratios_J), int(gaps_S.max()))
        _, sizes_T, roots_T, logs_T = self._lines
        weights_SJ = _windows(sizes_T, starts_S, horizon)  # 0 from where no step was taken yet
        weights_SJ *= self.ratios_J[:horizon]
        points_SJ = _windows(roots_T, starts_S, horizon)
        nodes = NODES if points_SJ[:, 0].min() < LATE else LATE_NODES
        points_SJ *= self.growth_J[:horizon]
        if self.weight_decay:
            weights_SJ *= np.exp(logs_T[self.count] - _windows(logs_T, starts_S + 1, horizon))
        return CatchUp(
            np.exp(logs_T[self.count] - logs_T[starts_S]),
            np.power(self.beta1, gaps_S, dtype=np.float64),
            np.power(self.beta2, gaps_S, dtype=np.float64),
            *gauss_nodes(weights_SJ, points_SJ, nodes),
        )


def _windows(values_T: Floats, starts_S: npt.NDArray[np.int64], length: int) -> Floats:
    """Copy the values from each start on, (S, length)."""
    windows: Floats = np.lib.stride_tricks.sliding_window_view(values_T, length)[starts_S]
    return windows


def gauss_nodes(weights_SJ: Floats, points_SJ: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Return weights and places (S, K) that have the moments 0 to 2K-1 of weighted positive points (S, J).

    The places are the eigenvalues of the matrix of the points' orthogonal polynomials (Golub & Welsch 1969).
    """
    total_S = weights_SJ.sum(1)
    shares_SJ = weights_SJ / np.where(total_S > 0, total_S, 1.0)[:, None]
    shares_SJ[total_S == 0, 0] = 1.0  # learning rates of 0: any place does
    mean_S1 = np.einsum("sj,sj->s", shares_SJ, points_SJ)[:, None]
    points_SJ = points_SJ / mean_S1 - 1.0
    matrix_SKK = np.zeros((len(total_S), nodes, nodes))
    before_SJ, polynomial_SJ = np.zeros_like(points_SJ), np.ones_like(points_SJ)
    squares_S, ratio_S = np.ones(len(total_S)), np.zeros(len(total_S))
    for k in range(nodes):
        matrix_SKK[:, k, k] = (
            np.einsum("sj,sj,sj,sj->s", shares_SJ, polynomial_SJ, polynomial_SJ, points_SJ) / squares_S
        )
        if k + 1 == nodes:
            break
        following_SJ = (points_SJ - matrix_SKK[:, k, k, None]) * polynomial_SJ - ratio_S[:, None] * before_SJ
        following_S = np.einsum("sj,sj,sj->s", shares_SJ, following_SJ, following_SJ)
        ratio_S = following_S / squares_S
        ratio_S[ratio_S < MIN_SPREAD] = 0.0  # no more points than nodes: the nodes after this one get no weight
        matrix_SKK[:, k, k + 1] = matrix_SKK[:, k + 1, k] = np.sqrt(ratio_S)
        before_SJ, polynomial_SJ = polynomial_SJ, following_SJ
        squares_S = np.where(ratio_S > 0, following_S, 1.0)
    places_SK, vectors_SKK = np.linalg.eigh(matrix_SKK)
    return total_S[:, None] * vectors_SKK[:, 0] ** 2, mean_S1 * (1.0 + places_SK)
