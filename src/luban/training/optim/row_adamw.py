"""AdamW that touches only the rows of a table that occur, with the numbers of AdamW over the whole table.

Legend: N ids, U rows, S last steps, D width, K nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from luban.training.optim.skipped_steps import SkippedSteps

CHUNK = 4096  # rows that `flush` works on at a time


class RowAdamW(Optimizer):
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) for tables whose gradients are sparse.

    In AdamW a row without a gradient moves on: its moments and its weights decay. Here it stays behind, and is caught
    up on all its skipped steps when it is needed: `prepare` before it is read, `flush` for all rows.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self._skipped: dict[Tensor, SkippedSteps] = {}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def prepare(self, parameter: nn.Parameter, ids_N: Tensor) -> None:
        """Catch up the rows that are about to be read; ids may repeat, their shape is any."""
        state, skipped = self.state.get(parameter), self._skipped.get(parameter)
        if not state or skipped is None:
            return
        ids_N = ids_N.flatten().long()
        stale_U = torch.unique(ids_N[_is_stale(state["last_step"][ids_N], skipped)])
        _catch_up(parameter, state, skipped, stale_U)

    @torch.no_grad()
    def flush(self) -> None:
        """Catch up all rows of all tables."""
        for parameter, skipped in self._skipped.items():
            state = self.state[parameter]
            for stale_U in torch.split(_is_stale(state["last_step"], skipped).nonzero().flatten(), CHUNK):
                _catch_up(parameter, state, skipped, stale_U)
            skipped.forget()
            state["rates"] = torch.from_numpy(skipped.rates)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the rows that have a gradient; a table without any gradient is left as it is, as in torch."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    assert parameter.grad.is_sparse, "a dense gradient would leave no row behind: use AdamW"
                    self._update(parameter, parameter.grad.coalesce(), group)

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["last_step"] = torch.zeros(len(parameter), dtype=torch.int64, device=parameter.device)
            state["rates"] = torch.zeros(0, dtype=torch.float64)
            self._skipped[parameter] = _remembered(state, group)
        skipped = self._skipped[parameter]
        rows_U, gradient_UD = gradient._indices()[0], gradient._values()
        self.prepare(parameter, rows_U)
        skipped.append(float(group["lr"]))
        state["step"].fill_(skipped.step)
        state["rates"] = torch.from_numpy(skipped.rates)
        if not len(rows_U):
            return
        tables = (parameter, state["exp_avg"], state["exp_avg_sq"])
        parts = [table.index_select(0, rows_U) for table in tables]
        (beta1, beta2), step = group["betas"], state["step"].to(parameter.device)
        torch._fused_adamw_(
            [parts[0]],
            [gradient_UD],
            [parts[1]],
            [parts[2]],
            [],
            [step],
            lr=float(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
        for table, part in zip(tables, parts, strict=True):
            table.index_copy_(0, rows_U, part)
        state["last_step"].index_fill_(0, rows_U, skipped.step)

    def restored(self) -> None:
        """Take up a state that was put into `state`."""
        self._skipped = {
            parameter: _remembered(self.state[parameter], group)
            for group in self.param_groups
            for parameter in group["params"]
            if self.state.get(parameter)
        }

    def load_state_dict(self, state_dict: Any) -> None:
        # torch would turn the steps and the history of rates into the table's type, and lose digits.
        raise NotImplementedError("use optim_state.load_state_tensors")


def _remembered(state: dict[str, Tensor], group: dict[str, Any]) -> SkippedSteps:
    rates = state["rates"].tolist()
    beta1, beta2 = group["betas"]
    skipped = SkippedSteps(beta1, beta2, group["eps"], group["weight_decay"], int(state["step"]) - len(rates))
    for rate in rates:
        skipped.append(rate)
    return skipped


def _is_stale(last_N: Tensor, skipped: SkippedSteps) -> Tensor:
    """Tell which of the last steps leave something to catch up on; a row that never had a gradient only decays."""
    behind_N = last_N < skipped.step
    return behind_N if skipped.weight_decay else behind_N & (last_N > 0)


def _catch_up(parameter: Tensor, state: dict[str, Tensor], skipped: SkippedSteps, rows_U: Tensor) -> None:
    if not len(rows_U):
        return
    last_S, which_U = torch.unique(state["last_step"].index_select(0, rows_U), return_inverse=True)
    numbers = skipped.since(last_S.cpu().numpy())
    decay_U1, first_decay_U1, second_decay_U1, weights_UK, eps_UK = (
        torch.from_numpy(values).to(parameter.device, parameter.dtype).reshape(len(last_S), -1).index_select(0, which_U)
        for values in vars(numbers).values()
    )
    first_UD, second_UD = (state[name].index_select(0, rows_U) for name in ("exp_avg", "exp_avg_sq"))
    root_UD = second_UD.sqrt()
    factor_UD = torch.zeros_like(root_UD)
    for weight_U1, eps_U1 in zip(torch.split(weights_UK, 1, 1), torch.split(eps_UK, 1, 1), strict=True):
        factor_UD += weight_U1 / (root_UD + eps_U1)
    weight_UD = torch.addcmul(parameter.index_select(0, rows_U) * decay_U1, first_UD, factor_UD, value=-1)
    parameter.index_copy_(0, rows_U, weight_UD)
    state["exp_avg"].index_copy_(0, rows_U, first_UD * first_decay_U1)
    state["exp_avg_sq"].index_copy_(0, rows_U, second_UD * second_decay_U1)
    state["last_step"].index_fill_(0, rows_U, skipped.step)
