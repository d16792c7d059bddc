"""A small dense network unit by unit, with the chain rule spelled out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from luban.explain.trace.formulas import Line, factor, number, total
from luban.explain.trace.layers import PASSING, Call, Recording

MAX_WEIGHTS = 150
MAX_WIDTH = 12


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def _gelu(z: float) -> float:
    return z * 0.5 * math.erfc(-z / math.sqrt(2))


def _gelu_slope(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2)) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Activation:
    """name, f(z), f'(z), and how f' is written."""

    name: str
    value: Callable[[float], float]
    slope: Callable[[float], float]
    written: str


IDENTITY = Activation("identity", lambda z: z, lambda z: 1.0, "1")
ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation("relu", lambda z: max(z, 0.0), lambda z: float(z > 0), "1 if z > 0 else 0"),
    nn.LeakyReLU: Activation(
        "leaky_relu", lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01, "1 if z > 0 else 0.01"
    ),
    nn.Tanh: Activation("tanh", math.tanh, lambda z: 1 - math.tanh(z) ** 2, "1 − a²"),
    nn.Sigmoid: Activation("sigmoid", _sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z)), "a·(1 − a)"),
    nn.GELU: Activation("gelu", _gelu, _gelu_slope, "Φ(z) + z·φ(z)"),
    nn.SiLU: Activation(
        "silu", lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * (1 - _sigmoid(z))), "s·(1 + z·(1 − s))"
    ),
}


@dataclass(frozen=True)
class Unit:
    """delta: dL/dz. gradients: dL/dw of each weight into the unit, then dL/db if it has a bias."""

    name: str
    sum: Line
    activation: Line
    delta: Line
    gradients: tuple[Line, ...]


@dataclass(frozen=True)
class UnitLayer:
    """One dense layer and its activation. parameter: the name of the layer. weights: (out, in), rows are units."""

    parameter: str
    activation: str
    slope: str
    weights: tuple[tuple[float, ...], ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class _Dense:
    name: str
    weights: list[list[float]]
    biases: list[float] | None
    inputs: list[float]
    activation: Activation


def unit_layers(recording: Recording) -> tuple[tuple[float, ...], tuple[UnitLayer, ...]] | None:
    """Return the input of the first dense layer and every layer written out; None where the network is not a chain of
    dense layers on one row, or is too large.

    The slopes at the outputs come from the recording, everything below them by the chain rule.
    """
    chain = _chain(recording.leaves)
    if not chain:
        return None
    last = [call for call in recording.leaves if not isinstance(call.module, PASSING)][-1]
    if last.gradient is None:
        return None
    slopes_at_outputs = [float(value) for value in last.gradient.flatten().tolist()]
    layers: list[UnitLayer] = []
    above: tuple[_Dense, list[float]] | None = None
    for number_, dense in reversed(list(enumerate(chain, start=1))):
        layer, deltas = _layer(dense, number_, len(chain), above, slopes_at_outputs)
        layers.insert(0, layer)
        above = (dense, deltas)
    return tuple(chain[0].inputs), tuple(layers)


def _chain(calls: list[Call]) -> list[_Dense]:
    """Return the dense layers, or nothing where there is any other layer, more than one row, or one that takes other
    numbers than the layer before it made."""
    chain: list[_Dense] = []
    count = 0
    made: Tensor | None = None
    for call in calls:
        module, before, made = call.module, made, call.output
        if isinstance(module, PASSING) or type(module).__name__ == "Flatten":
            continue
        if isinstance(module, nn.Linear):
            rows = call.output.shape[0] if call.output.ndim == 2 else 0
            count += sum(parameter.numel() for parameter in module.parameters())
            wide = max(module.in_features, module.out_features) > MAX_WIDTH
            if rows != 1 or call.input is None or wide or count > MAX_WEIGHTS:
                return []
            if chain and (before is None or not torch.equal(call.input.flatten(), before.flatten())):
                return []
            biases = None if module.bias is None else module.bias.detach().tolist()
            inputs = [float(value) for value in call.input.flatten().tolist()]
            chain.append(_Dense(call.name, module.weight.detach().tolist(), biases, inputs, IDENTITY))
        elif type(module) in ACTIVATIONS and chain and chain[-1].activation is IDENTITY:
            last = chain.pop()
            chain.append(_Dense(last.name, last.weights, last.biases, last.inputs, ACTIVATIONS[type(module)]))
        else:
            return []
    return chain


def _layer(
    dense: _Dense, layer: int, layers: int, above: tuple[_Dense, list[float]] | None, slopes_at_outputs: list[float]
) -> tuple[UnitLayer, list[float]]:
    units, deltas = [], []
    for j, weights in enumerate(dense.weights):
        z, sum_line = _sum(dense, weights, layer, j)
        f = dense.activation
        a, slope = f.value(z), f.slope(z)
        here = f"{layer},{j + 1}"
        if above is None:
            back, written, filled = slopes_at_outputs[j], f"∂L/∂a_{here}", number(slopes_at_outputs[j])
        else:
            upper, upper_deltas = above
            back = sum(row[j] * delta for row, delta in zip(upper.weights, upper_deltas, strict=True))
            terms = [f"{factor(row[j])}·{factor(d)}" for row, d in zip(upper.weights, upper_deltas, strict=True)]
            written, filled = f"Σ_k w_{layer + 1},k{j + 1}·δ_{layer + 1},k", f"({total(terms)})"
        delta = slope * back
        deltas.append(delta)
        is_output = above is None and f is IDENTITY
        delta_line = Line(
            f"δ_{here} = ∂L/∂z_{here}",
            "∂L/∂z" if is_output else f"f′(z)·{written}",
            filled if is_output else f"{factor(slope)}·{filled}",
            delta,
        )
        gradients = [
            Line(f"∂L/∂w_{layer},{j + 1}{i + 1}", f"δ_{here}·x_{i + 1}", f"{factor(delta)}·{factor(x)}", delta * x)
            for i, x in enumerate(dense.inputs)
        ]
        if dense.biases is not None:
            gradients.append(Line(f"∂L/∂b_{here}", f"δ_{here}", number(delta), delta))
        activation_line = Line(f"a_{here}", f"{f.name}(z)", f"{f.name}({number(z)})", a)
        units.append(Unit(here, sum_line, activation_line, delta_line, tuple(gradients)))
    rows = tuple(tuple(float(w) for w in row) for row in dense.weights)
    return UnitLayer(dense.name, dense.activation.name, dense.activation.written, rows, tuple(units)), deltas


def _sum(dense: _Dense, weights: list[float], layer: int, j: int) -> tuple[float, Line]:
    z = sum(w * x for w, x in zip(weights, dense.inputs, strict=True))
    terms = [f"{factor(w)}·{factor(x)}" for w, x in zip(weights, dense.inputs, strict=True)]
    formula = "Σ_i w_i·x_i"
    if dense.biases is not None:
        z += dense.biases[j]
        terms.append(factor(dense.biases[j]))
        formula += " + b"
    return z, Line(f"z_{layer},{j + 1}", formula, total(terms), z)
