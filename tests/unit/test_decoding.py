"""Decoding on all cores gives what one core gives, whatever becomes of the other processes."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from luban.core.sentence import Sentence, sentence
from luban.data.media.unreadable import UnreadableCellError
from luban.features import decoding
from luban.features.decoding import decode_cells, shared_zeros

CELLS = [b"\x07" * (1 + number % 5) for number in range(300)]
PARENT = os.getpid()
linux = pytest.mark.skipif(sys.platform != "linux", reason="files are decoded in processes on Linux only")


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "FORKED_CELLS", 10)
    monkeypatch.setattr(decoding, "num_cores", lambda: 3)


def test_shared_zeros_are_zeros_that_can_be_written() -> None:
    found = shared_zeros((3, 2), np.float32)
    assert found.tolist() == [[0, 0]] * 3
    found[1] = 5
    assert found.sum() == 10
    assert shared_zeros((0, 4), np.uint8).shape == (0, 4)


@linux
def test_each_process_fills_its_part_and_says_what_failed() -> None:
    sizes, workers = shared_zeros((300,), np.int64), shared_zeros((300,), np.int64)

    def decode(position: int, content: bytes) -> None:
        workers[position] = os.getpid()
        if position % 100 == 7:
            raise UnreadableCellError(sentence("cell.no_file", "cell {path}", path=position))
        if position == 50:
            raise ValueError
        sizes[position] = len(content)

    bad = decode_cells(CELLS, range(300), None, decode, is_shared=True)
    assert len(set(workers.tolist())) == 3
    assert {at: reason.parts for at, reason in bad.items() if isinstance(reason, Sentence)} == {
        50: {"id": "cell.damaged", "values": {"error": "ValueError"}},
        **{at: {"id": "cell.no_file", "values": {"path": at}} for at in (7, 107, 207)},
    }
    assert bad == {
        7: "cell 7",
        50: "the file cannot be decoded (ValueError)",
        107: "cell 107",
        207: "cell 207",
    }
    expected = [0 if position in bad else len(cell) for position, cell in enumerate(CELLS)]
    assert sizes.tolist() == expected


@linux
def test_what_is_not_shared_is_decoded_here() -> None:
    sizes: dict[int, int] = {}
    assert decode_cells(CELLS, range(300), None, lambda at, content: sizes.update({at: len(content)})) == {}
    assert list(sizes.values()) == [len(cell) for cell in CELLS]


@linux
def test_the_part_of_a_process_that_dies_is_done_again() -> None:
    sizes = shared_zeros((300,), np.int64)

    def decode(position: int, content: bytes) -> None:
        if os.getpid() != PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        sizes[position] = len(content)

    assert decode_cells(CELLS, range(300), None, decode, is_shared=True) == {}
    assert sizes.tolist() == [len(cell) for cell in CELLS]


@linux
def test_where_no_process_can_be_started_one_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    sizes = shared_zeros((300,), np.int64)

    def decode(position: int, content: bytes) -> None:
        sizes[position] = len(content)

    assert decode_cells(CELLS, range(300), None, decode, is_shared=True) == {}
    assert sizes.tolist() == [len(cell) for cell in CELLS]
