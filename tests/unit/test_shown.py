"""What steers a terminal or reorders a page is shown escaped, and no message is longer than it may be."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import ConfigError
from luban.core.shown import LONGEST, brief, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, 中文, café, 👩‍👩‍👧", "plain, 中文, café, 👩‍👩‍👧"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("a\x00b\x7f\x9bc", "a\\x00b\\x7f\\x9bc"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
        ("\u2028\u2029\udc80", "\\u2028\\u2029\\udc80"),
        ("[/b] C:\\x1b", "[/b] C:\\x1b"),
    ],
)
def test_control_characters_are_escaped_and_nothing_else_is_changed(text: str, expected: str) -> None:
    assert shown(text) == expected


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_nothing_shown_steers_a_terminal(text: str) -> None:
    found = shown(text)
    assert not {unicodedata.category(sign) for sign in found} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(sign) for sign in found} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"}
    found.encode()


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_line_feeds_stay_where_lines_are_meant(text: str) -> None:
    assert shown(text, keep="\n").count("\n") == text.count("\n")


def test_a_long_text_is_cut_in_its_middle() -> None:
    found = shown("a" * 700 + "b" * 300, limit=90)
    assert found == f"{'a' * 60} … {'b' * 30}"
    assert shown("a" * 90, limit=90) == "a" * 90


def test_a_message_is_safe_and_bounded_whatever_it_quotes() -> None:
    error = ConfigError("a\x1b[2Jb", expected="x", found="'" + "y" * 10**6 + "\u202e'", action="Do\x00it.")
    assert str(error).startswith("a\\x1b[2Jb: expected x, found 'yyy")
    assert str(error).endswith("y\\u202e'. Do\\x00it.")
    assert len(str(error)) < 2 * LONGEST


def aliases(depth: int) -> list[Any]:
    """Return a list that is written as 10 to the power of its depth texts, made of very few objects."""
    value: list[Any] = ["lol"] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    "value",
    [aliases(30), "x" * 10**7, 10**5000, {"a": aliases(30)}, b"\x00" * 10**6, "\x1b" * 100, {1: {2: {3: {4: 5}}}}],
    ids=["aliases", "text", "number", "mapping", "bytes", "escapes", "depth"],
)
def test_a_quoted_value_is_brief(value: object) -> None:
    assert len(brief(value)) <= 80
    assert shown(brief(value)) == brief(value)


def test_a_short_value_is_quoted_as_it_is() -> None:
    assert brief([1, "two", None]) == "[1, 'two', None]"
    assert brief(0.1) == "0.1"
