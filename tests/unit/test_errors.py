from __future__ import annotations

from pathlib import Path

from luban.core import errors
from luban.core.errors import DataError, LubanError, listed, nearest, typed


def test_message_says_where_expected_found_and_what_to_do() -> None:
    error = DataError("reviews.csv, row 412, column 'age'", expected="a number", found="'n/a'", action="Mend it")
    assert str(error) == "reviews.csv, row 412, column 'age': expected a number, found 'n/a'. Mend it."


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LubanError)]
    assert len(kinds) == 10
    assert all(kind.__name__ in str(errors.__doc__) for kind in kinds)


def test_nearest_suggests_only_what_is_near() -> None:
    assert nearest("lable", ["Label", "text"]) == "Did you mean 'Label'? "
    assert nearest("zzz", ["label", "text"]) == ""


def test_listed_is_bounded() -> None:
    assert listed("abc") == "'a', 'b', 'c'"
    assert listed("abcd", limit=2) == "'a', 'b' and 2 more"


def test_an_argument_is_typed_so_that_a_shell_takes_it_for_one() -> None:
    assert typed("runs/人口-2") == "runs/人口-2"
    assert typed(Path("my runs/it's")) == "'my runs/it'\"'\"'s'"
    assert typed("a;b") == "'a;b'"
    assert typed("") == "''"
