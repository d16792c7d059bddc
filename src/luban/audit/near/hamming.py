"""Candidates for near duplicates: rows whose fingerprints of bits or of minima agree in a whole band."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pairs = npt.NDArray[np.int64]  # (pairs, 2), the smaller position first
MIX = np.uint64(0x9E3779B97F4A7C15)
NEIGHBOURS = 3  # in a band's order, to which a row is compared: bounds the time where thousands agree


def banded_pairs(bands: npt.NDArray[Any]) -> Pairs:
    """Return pairs of rows that agree in all cells of a band (locality-sensitive hashing: Indyk and Motwani 1998).

    bands: (rows, bands, cells) of integers. In a group that agrees, each row is paired with the group's first and with
    those beside it, not with all: groups of thousands would make millions of pairs.
    """
    found = []
    for band in range(bands.shape[1]):
        mixed = np.zeros(len(bands), np.uint64)
        for cell in range(bands.shape[2]):
            mixed = (mixed ^ bands[:, band, cell].astype(np.uint64)) * MIX
            mixed ^= mixed >> np.uint64(29)
        order = np.argsort(mixed, kind="stable")
        ranked = mixed[order]
        is_start = np.r_[True, ranked[1:] != ranked[:-1]]
        start = np.maximum.accumulate(np.where(is_start, np.arange(len(order)), 0))
        inside = np.flatnonzero(~is_start)
        found.append(np.stack([order[start[inside]], order[inside]], axis=1))
        for step in range(1, NEIGHBOURS):
            at = inside[inside - step >= start[inside]]
            found.append(np.stack([order[at - step], order[at]], axis=1))
    pairs = np.sort(np.concatenate(found) if found else np.zeros((0, 2), np.int64), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    codes = np.unique(pairs[:, 0] * len(bands) + pairs[:, 1])
    return np.stack([codes // max(len(bands), 1), codes % max(len(bands), 1)], axis=1).astype(np.int64)


def components(pairs: Pairs, rows: int) -> npt.NDArray[np.int64]:
    """Return (rows,) a number for each row, equal for rows that pairs connect."""
    from scipy.sparse import coo_array  # takes long to import: not before the first step
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)
