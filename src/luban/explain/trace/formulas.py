"""A formula, and the same with its numbers filled in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One equation: symbol = formula = filled = value."""

    symbol: str
    formula: str
    filled: str
    value: float


def number(value: float) -> str:
    """Write a number with six significant digits and a true minus sign."""
    return f"{value:.6g}".replace("-", "−")


def factor(value: float) -> str:
    """Write a number inside a product or after a sign: negative ones in brackets."""
    return f"({number(value)})" if value < 0 else number(value)


def total(parts: list[str]) -> str:
    return " + ".join(parts) if parts else "0"
