"""Whether a prediction depends on what it should, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from luban.core.runtime import generator
from luban.core.sentence import sentence, several
from luban.core.tensors import Columns, Ragged
from luban.models.network import Network, vector_name
from luban.training.preflight.trial import Check, Rows, Trial, of_rows

# Of the largest logit: by how much rounding may change a prediction when its neighbours change.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
MOST_EXCHANGED = 200  # inputs, since each is a step forward through all of them
SMALLEST_SCALE = 1e-2  # of logits: below it they are sums of much larger numbers, and so are their rounding errors
INPUTS = sentence("preflight.inputs.name", "the prediction depends on every input")
NEIGHBOURS = sentence("preflight.neighbours.name", "a prediction depends on its own row alone")

Inputs = Columns


def check_inputs(trial: Trial, network: Network) -> Check:
    """Exchange each input between rows, the others left alone: the logits must change.

    An input whose vectors differ, and along which the logits have a slope, needs no exchange. One that is the same in
    all rows looked at is changed at random where it is made of numbers, else left out. Of many that are left, some are
    drawn.
    """
    places = np.arange(len(trial.sample)) if trial.is_flat else trial.small
    batch = trial.batch(places)
    if any(output.of for output in network.outputs):  # vectors of whole inputs do not tell what such outputs are
        looked_at, unused = _without_effect(trial, network, places)
        return _inputs_found(looked_at, unused)
    with torch.no_grad():
        vectors: Inputs = {vector_name(name): _vector(network, name, batch.inputs) for name in network.names}
    doubtful = _without_slope(network, vectors)
    drawn = doubtful[:: -(-len(doubtful) // MOST_EXCHANGED) or 1]
    num_looked_at = len(network.names) - len(doubtful) + len(drawn)
    with torch.inference_mode():
        expected = _beside(network(vectors))
        unused = []
        for name in drawn:
            changed = _exchanged(trial, network, name, places, vectors)
            changed += _random(trial, network, name, batch.inputs)
            logits = (_beside(network({**vectors, vector_name(name): vector})) for vector in changed)
            if changed and all(torch.equal(found, expected) for found in logits):
                unused.append(name)
    return _inputs_found(num_looked_at, unused)


def _inputs_found(looked_at: int, unused: list[str]) -> Check:
    if not unused:
        found = sentence("preflight.inputs.passed", "that it does, {inputs} in all", inputs=looked_at)
        return Check(INPUTS, "passed", "that it changes with each", found)
    return Check(
        INPUTS,
        "failed",
        "that it changes with each",
        sentence("preflight.inputs.found", "no change with {unused}", unused=several(unused)),
        sentence(
            "preflight.inputs.action",
            "Choose another seed, activation or wider hidden layers: the network does not pass this input on",
        ),
    )


def check_neighbours(trial: Trial, network: Network) -> Check:
    """Predict rows together and each alone: what stands beside a row, and its padding, must change nothing."""
    # On a CPU in float32, where a leak stands out from rounding; an accelerator has other kernels for other types.
    dtype = torch.float32 if trial.device.type == "cpu" else trial.dtype
    batch = trial.batch(trial.small)
    lengths = trial.train.lengths[trial.sample][trial.small]
    order = np.argsort(lengths, kind="stable")
    with (
        torch.inference_mode(),
        torch.autocast(trial.device.type, dtype=torch.bfloat16, enabled=dtype != torch.float32),
    ):
        together = [row.float() for row in of_rows(network(batch.inputs), len(batch))]
        scale = max(SMALLEST_SCALE, *(float(row.abs().max()) for row in together if len(row)))
        worst, place = 0.0, 0
        for place_alone in {int(order[0]), int(order[len(order) // 2]), int(order[-1])}:
            (alone,) = of_rows(network(trial.batch(trial.small[[place_alone]]).inputs), 1)
            difference = float((alone.float() - together[place_alone]).abs().max()) / scale
            if not difference <= worst:  # a NaN is no equality
                worst, place = difference, place_alone
    goal = "the same logits beside other rows and alone"
    if worst <= TOLERANCE[dtype]:
        if not np.ptp(lengths):
            found = sentence("preflight.neighbours.passed", "a difference of {worst:.1e}", worst=worst)
        else:
            found = sentence(
                "preflight.neighbours.passed_lengths",
                "a difference of {worst:.1e}, at lengths {low} to {high}",
                worst=worst,
                low=int(lengths.min()),
                high=int(lengths.max()),
            )
        return Check(NEIGHBOURS, "passed", goal, found)
    return Check(
        NEIGHBOURS,
        "failed",
        goal,
        sentence(
            "preflight.neighbours.found",
            "a difference of {worst:.1e} for row {row}, of length {length}",
            worst=worst,
            row=trial.source_row(int(trial.small[place])),
            length=int(lengths[place]),
        ),
        sentence("preflight.neighbours.action", "Choose another model: this one mixes rows, or reads padding"),
    )


def check_causal(module: nn.Module | Callable[[Ragged], Tensor], tokens: Ragged, tolerance: float = 1e-4) -> Check:
    """Change the second half of each row of tokens: what a causal model makes of the first half must stay.

    module: tokens (N,) -> (N, ...). tolerance: a share of the largest output.
    """
    lengths = tokens.lengths
    positions = torch.arange(len(tokens.values)) - torch.repeat_interleave(tokens.offsets[:-1], lengths)
    is_past = positions < torch.repeat_interleave((lengths + 1) // 2, lengths)
    is_past = is_past.to(tokens.values.device)
    changed = tokens.values.clone()
    changed[~is_past] = tokens.values.flip(0)[~is_past]
    assert not torch.equal(changed, tokens.values), "tokens that are all alike show nothing"
    was_training = module.training if isinstance(module, nn.Module) else False
    if isinstance(module, nn.Module):
        module.eval()
    with torch.inference_mode():
        expected, found = module(tokens).float(), module(Ragged(changed, tokens.offsets)).float()
    if isinstance(module, nn.Module):
        module.train(was_training)
    scale = max(SMALLEST_SCALE, float(expected.abs().max()))
    worst = float((expected - found).abs()[is_past].max()) / scale
    name, goal = "the past does not depend on the future", "outputs that only earlier tokens decide"
    if worst <= tolerance:
        return Check(name, "passed", goal, f"a difference of {worst:.1e}")
    return Check(name, "failed", goal, f"a difference of {worst:.1e} where only later tokens changed", "Mend the mask")


def _without_effect(trial: Trial, network: Network, places: Rows) -> tuple[int, list[str]]:
    """Return how many inputs were exchanged between rows, and which of them changed no output."""
    batch, turned = trial.batch(places), trial.batch(np.roll(places, 1))
    with torch.inference_mode():
        expected = of_rows(network(batch.inputs), len(batch))
        names = [name for name in network.names if len(np.unique(trial.cells[name][places])) > 1]
        unused = []
        for name in names:
            found = of_rows(network({**batch.inputs, name: turned.inputs[name]}), len(batch))
            if all(torch.equal(one, other) for one, other in zip(expected, found, strict=True)):
                unused.append(name)
    return len(names), unused


def _beside(outputs: Columns) -> Tensor:
    """Return all outputs of rows side by side, (B, D)."""
    values = [value.flatten(1) for value in outputs.values() if isinstance(value, Tensor)]
    return values[0] if len(values) == 1 else torch.cat(values, dim=1)


def _vector(network: Network, name: str, inputs: Inputs) -> Tensor:
    given = inputs.get(vector_name(name))
    vector = given if isinstance(given, Tensor) else network.encoder(name)(inputs[name])
    return vector.float()


def _without_slope(network: Network, vectors: Inputs) -> list[str]:
    """Return the inputs whose vectors are the same in all rows, or along which no logit of these rows has a slope."""
    leaves = {name: value.detach().requires_grad_() for name, value in vectors.items() if isinstance(value, Tensor)}
    with torch.enable_grad():
        logits = _beside(network(dict(leaves)))
        signs = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits)
        slopes = torch.autograd.grad((logits * signs).sum(), list(leaves.values()), allow_unused=True)
    by_name = dict(zip(leaves, slopes, strict=True))
    found = []
    for name in network.names:
        slope, vector = by_name.get(vector_name(name)), leaves[vector_name(name)]
        if slope is None or not bool((slope != 0).any()) or bool((vector == vector[:1]).all()):
            found.append(name)
    return found


def _exchanged(trial: Trial, network: Network, name: str, places: Rows, vectors: Inputs) -> list[Tensor]:
    """Return the input's vectors with each row's taken from another one, whose cell differs; none if all are alike."""
    cells = trial.cells[vector_name(name) if vector_name(name) in trial.cells else name]
    known = vectors[vector_name(name)]
    assert isinstance(known, Tensor)
    if len(np.unique(cells[places])) > 1:
        return [known.roll(1, dims=0)]
    others = np.flatnonzero(cells != cells[places[0]])
    return [_vector(network, name, trial.batch(others[: len(places)]).inputs)] if len(others) >= len(places) else []


def _random(trial: Trial, network: Network, name: str, inputs: Inputs) -> list[Tensor]:
    """Return the vectors of random numbers in place of an input's own; none for tokens and categories."""
    key = vector_name(name) if vector_name(name) in inputs else name
    given = inputs[key]
    values = given.values if isinstance(given, Ragged) else given
    if not values.is_floating_point():
        return []
    noise = torch.randn(values.shape, generator=generator(trial.seed, "preflight, inputs")).to(values)
    return [_vector(network, name, {key: Ragged(noise, given.offsets) if isinstance(given, Ragged) else noise})]
