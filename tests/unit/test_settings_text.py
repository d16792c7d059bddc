"""Settings are YAML 1.2 of a bounded size: words are texts, keys are as written, nothing large comes out of little."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from luban import config as configuration
from luban.core.errors import ConfigError
from luban.core.settings_text import MOST_BYTES, read, read_file, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((word, word) for word in ("yes", "no", "on", "off", "y", "n", "Yes", "OFF", "NaN", "1:20", "1_000", "+-1")),
        *(
            (word, word)
            for word in ("2024-01-31", "2024-02-30", "2024-01-31T12:00:00Z", "0b11", "0o8", "1e", "<<", "=")
        ),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("null", "Null", "NULL", "~", "")),
        *((word, number) for word, number in (("1", 1), ("-7", -7), ("017", 17), ("0o17", 15), ("0x1F", 31))),
        *(
            (word, number)
            for word, number in (("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-1E-3", -0.001), ("3.", 3.0))
        ),
        ("'1'", "1"),
        ("{yes: 5, no: 1, 1.0: 2, null: 3, true: 4}", {"yes": 5, "no": 1, "1.0": 2, "null": 3, "true": 4}),
        ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
    ],
)
def test_the_core_schema_of_yaml_12(text: str, expected: object) -> None:
    found = read(text, "here", action="")
    assert found == expected
    assert isinstance(found, type(expected))


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text: str) -> None:
    assert math.isnan(read(text, "here", action=""))
    assert read("-.INF", "here", action="") == -math.inf


@pytest.mark.parametrize("text", ["01", "0x1F", "1e3", "1.50", "-0"])
def test_a_number_knows_how_it_was_written(text: str) -> None:
    assert str(read(text, "here", action="")) == text


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "more settings than anybody can mean, by aliases"),
        ("[" * 20_000, "more than 30 levels"),
        ("{a: " * 20_000, "more than 30 levels"),
        ("- " * 20_000 + "x", "more than 30 levels"),
        ("9" * 5_000, "a number of more than 100 digits"),
        ("0x" + "f" * 5_000, "a number of more than 100 digits"),
        ("&a [*a]", "part of itself"),
        ("&a {b: *a}", "part of itself"),
        ("{a: 1, a: 2}", "the key 'a' twice"),
        ("{[a]: 1}", "a key that is no text"),
        ("!!int x", "a value that is none"),
        ("!!bool x", "a value that is none"),
        ("!!timestamp 2024-02-30", "could not determine a constructor"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: [1", "but got '<stream end>'"),
        ("*x", "undefined alias"),
        ("a\x00b", "special characters are not allowed"),
        ("--- a\n--- b", "found another document"),
    ],
)
def test_what_is_no_setting_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "here", action="Mend it")
    assert str(caught.value).startswith("here: expected YAML, found a")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_file_names_the_line_and_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("data:\n  train: [1\nx")
    with pytest.raises(ConfigError, match="run.yaml, line 3: expected YAML"):
        read_file(path)
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_file(path) == {"name": "a"}
    path.write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match="expected text in UTF-8"):
        read_file(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="at most 1,000,000 bytes, found more"):
        read_file(path)


SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_what_is_written_is_read_as_it_was_by_both_versions(tree: Any) -> None:
    text = written(tree)
    assert read(text, "here", action="") == tree
    assert yaml.safe_load(text) == tree


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789abeExoXynNsulLtruefTF.+-:_~ <>=&*!?|%@`'\"", max_size=12))
def test_any_text_is_a_value_or_one_sentence(text: str) -> None:
    try:
        read(text, "here", action="")
    except ConfigError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
    assert len(message) < 500


def test_words_reach_the_settings_as_texts() -> None:
    given = configuration.override(
        {},
        [
            "train.loss.class_weights={yes: 5, no: 1}",
            "data.missing_values=[no, 01, 1e3]",
            "name=2024",
            "data.target=no",
            "data.columns={on: ignore, 1: number}",
        ],
    )
    config = configuration.parse(given, "settings")
    assert config.train.loss.class_weights == {"yes": 5.0, "no": 1.0}
    assert config.data.missing_values[-3:] == ("no", "01", "1e3")
    assert (config.name, config.data.target) == ("2024", "no")
    assert config.data.columns == {"on": "ignore", "1": "number"}
    again = configuration.parse(read(configuration.dump(config), "again", action=""), "again")
    assert again == config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "model.hidden=[1000000000000]",
            "'model.hidden.0': expected less than or equal to 1000000, found 10000",
        ),
        ("model.hidden=[-1]", "'model.hidden.0': expected greater than or equal to 1, found -1"),
        (
            "train.batch_size=99999999999999999999",
            "'train.batch_size': expected 'auto' or less than or equal to",
        ),
        ("features.category.max_categories=99999999999999999999", "less than or equal to 10000000"),
        ("train.loss.class_weights={yes: -1}", "'train.loss.class_weights.yes': expected greater than 0, found -1"),
        ("train.loss.class_weights=equal", "expected 'balanced' or a valid dictionary, found 'equal'"),
        ("seed=4294967296", "'seed': expected less than 4294967296"),
        ("model.tokens={architecture: lstm, hidden: 0}", "'model.tokens.hidden': expected greater than or equal to 1"),
        ("data.target={a: 1}", "'data.target': expected a valid string or a list, found {'a': 1}"),
    ],
)
def test_a_setting_out_of_bounds_is_one_sentence(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configuration.parse(configuration.override({}, [setting]), "settings")
    assert message in str(caught.value)
