"""Near duplicates among texts, by MinHash."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.audit.near.hamming import Pairs, banded_pairs
from luban.features.cells import strings

CHARACTERS = 1_000  # of a text that are compared
SHINGLE, CJK_SHINGLE = 5, 3  # characters; a Chinese character says as much as several letters
BANDS, ROWS_A_BAND = 13, 5  # texts of similarity 0.8 share a band with probability 0.994, those of 0.5 with 0.34
SIMILAR = 0.8  # the Jaccard index of the shingles
MIN_CHARACTERS = 15  # shorter texts have too few shingles to tell
CJK_MIN_CHARACTERS = 8
ROWS_AT_ONCE = 20_000
PAIRS_AT_ONCE = 50_000
CJK_FROM = 0x2E80  # code points of Chinese and Japanese characters begin here


def normal_texts(cells: pl.Series) -> pl.Series:
    """Return texts in lower case, with single spaces for blanks and punctuation."""
    return (
        strings(cells)
        .fill_null("")
        .str.slice(0, CHARACTERS)
        .str.to_lowercase()
        .str.replace_all(r"[\s\p{P}]+", " ")
        .str.strip_chars()
    )


def near_texts(cells: pl.Series) -> Pairs:
    """Return pairs of rows whose texts are nearly alike: at least 0.8 of their shingles of 5 characters are shared.

    Candidates come from MinHash (Broder 1997) and are then compared exactly. Texts that are alike after the
    normalisation are one; short ones are near no other.
    """
    texts = normal_texts(cells)
    distinct = texts.unique(maintain_order=True)
    group = (
        texts.to_frame("text")
        .join(pl.DataFrame({"text": distinct, "group": np.arange(len(distinct))}), on="text", maintain_order="left")[
            "group"
        ]
        .to_numpy()
    )
    _, first = np.unique(group, return_index=True)
    alike = np.stack([first[group], np.arange(len(group))], axis=1)
    alike = alike[(alike[:, 0] != alike[:, 1]) & (texts.to_numpy()[alike[:, 1]] != "")]
    bands, rows, pieces = [], [], []
    for start in range(0, len(distinct), ROWS_AT_ONCE):
        hashes, offsets = shingles(distinct.slice(start, ROWS_AT_ONCE).to_list())
        pieces.append((hashes, offsets))
        kept = np.flatnonzero(np.diff(offsets) > 0)
        rows.append(start + kept)
        bands.append(minima(hashes, offsets, kept))
    long = np.concatenate([np.zeros(0, np.int64), *rows])
    if len(long) < 2:
        return np.asarray(alike, np.int64)
    candidates = banded_pairs(np.concatenate(bands).reshape(len(long), BANDS, ROWS_A_BAND))
    candidates = long[candidates]
    near = candidates[jaccard(pieces, candidates) >= SIMILAR]
    return np.concatenate([alike, first[near]]).astype(np.int64)


def shingles(texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the hashes of the shingles of each text, (shingles,) and (texts + 1,) where each text's begin.

    Texts that are too short have none.
    """
    code = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.uint64)
    ends = np.cumsum([0, *map(len, texts)])
    is_cjk = np.add.reduceat(np.r_[code >= CJK_FROM, False].astype(np.int64), ends[:-1]) if len(texts) else ends[:0]
    is_cjk = 2 * is_cjk > np.diff(ends)
    size = np.where(is_cjk, CJK_SHINGLE, SHINGLE)
    counts = np.diff(ends) - size + 1
    counts[np.diff(ends) < np.where(is_cjk, CJK_MIN_CHARACTERS, MIN_CHARACTERS)] = 0
    offsets = np.r_[0, np.cumsum(counts)]
    at = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - ends[:-1], counts)
    length = np.repeat(size, counts)
    mixed = np.zeros(len(at), np.uint64)
    for step in range(SHINGLE):
        inside = step < length
        letter = code[np.minimum(at + step, max(len(code) - 1, 0))] if len(code) else mixed
        mixed = np.where(inside, mixed * np.uint64(0x100000001B3) + letter, mixed)
    mixed ^= mixed >> np.uint64(31)
    return ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)).astype(np.uint32), offsets


def minima(
    hashes: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Return (kept, 65) the smallest value of each text under 65 random functions of the hashes."""
    draw = np.random.default_rng(7)
    factors = draw.integers(0, 2**32, BANDS * ROWS_A_BAND, dtype=np.uint32) | np.uint32(1)
    shifts = draw.integers(0, 2**32, BANDS * ROWS_A_BAND, dtype=np.uint32)
    found = np.empty((len(kept), len(factors)), np.uint32)
    starts = offsets[:-1][kept]
    for number, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
        mixed = hashes * factor + shift
        mixed ^= mixed >> np.uint32(15)
        if len(kept):
            found[:, number] = np.minimum.reduceat(mixed * np.uint32(0x85EBCA6B), starts)
    return found


def jaccard(
    pieces: list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]], pairs: Pairs
) -> npt.NDArray[np.float64]:
    """Return (pairs,) the exact share of distinct shingles that two texts have in common."""
    if not len(pairs):
        return np.zeros(0)
    from scipy.sparse import csr_array  # takes long to import: not before the first step

    wanted = np.unique(pairs)
    hashes = np.concatenate([piece for piece, _ in pieces])
    sizes = np.concatenate([np.diff(offsets) for _, offsets in pieces])
    starts = np.cumsum(sizes) - sizes
    counts = sizes[wanted]
    at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - starts[wanted], counts)
    _, columns = np.unique(hashes[at], return_inverse=True)
    rows = np.repeat(np.arange(len(wanted)), counts)
    table = csr_array((np.ones(len(at), np.int32), (rows, columns)))
    table.data[:] = 1  # a shingle that repeats counts once
    distinct = np.diff(table.indptr)
    left, right = np.searchsorted(wanted, pairs[:, 0]), np.searchsorted(wanted, pairs[:, 1])
    shared = np.empty(len(pairs), np.int64)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        span = slice(start, start + PAIRS_AT_ONCE)
        shared[span] = table[left[span]].multiply(table[right[span]]).sum(axis=1)
    return np.asarray(shared / (distinct[left] + distinct[right] - shared), np.float64)
