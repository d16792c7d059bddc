"""What stands in and beside the digits of a number: signs, marks of groups, currencies, words for thousands, units."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

CURRENCY_CODES = re.findall(
    "...",
    "USDEURGBPJPYCNYRMBCHFCADAUDNZDHKDTWDNTDSGDINRKRWBRLRUBZARSEKNOKDKKPLNCZKHUFTRYMXNTHBIDRMYRPHPVNDAEDSARILS",
)
CURRENCY_WORDS = ("US$", "A$", "C$", "CA$", "AU$", "HK$", "NZ$", "S$", "R$", "NT$", "MX$", "Rs.", "Rs", "kr", "人民币")
# Two ways of writing one unit.
SAME_UNIT = {
    **dict.fromkeys(("us$", "$"), "usd"),
    **dict.fromkeys(("rmb", "元", "人民币", "块"), "cny"),
    **dict.fromkeys(("円",), "jpy"),
    **dict.fromkeys(("rs", "₹"), "inr"),
    "€": "eur",
    "£": "gbp",
    "₩": "krw",
    "원": "krw",
    "₽": "rub",
    "percent": "%",
    "pct": "%",
}
SCALES: dict[str, float] = {
    **dict.fromkeys(("k", "K", "thousand", "tsd", "千"), 1e3),
    **dict.fromkeys(("M", "mn", "mln", "mio", "million", "millions", "百万"), 1e6),
    **dict.fromkeys(("B", "bn", "mrd", "billion", "billions", "十亿"), 1e9),
    **dict.fromkeys(("T", "tn", "trillion", "trillions", "万亿", "萬億"), 1e12),
    **dict.fromkeys(("万", "萬"), 1e4),
    "十万": 1e5,
    "lakh": 1e5,
    "lakhs": 1e5,
    "千万": 1e7,
    "crore": 1e7,
    "crores": 1e7,
    **dict.fromkeys(("亿", "億"), 1e8),
}
SCALED_AMOUNTS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}  # in any case, beside a currency or another scale
_SCALE = re.compile(
    "(" + "|".join(sorted((re.escape(word) for word in SCALES), key=len, reverse=True)) + r")\.?\s*(.*)", re.DOTALL
)
_CURRENCY = "|".join(
    [r"\p{Sc}", *(re.escape(word) for word in sorted((*CURRENCY_WORDS, *CURRENCY_CODES), key=len, reverse=True))]
)
DIGITS = r"\d(?:[\d.,' ]*\d)?|[.,]\d+"
# As Rust's regex has it: a sign or bracket, a currency, digits and their marks, a power of ten, what follows.
WRITTEN = (
    rf"^(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>(?:{_CURRENCY})(?:{_CURRENCY})?)?\s*(?P<open_inside>\()?\s*"
    rf"(?P<sign_inside>[-+])?\s*(?P<digits>{DIGITS})\.?(?P<power>[eE][-+]?\d{{1,3}})?\s*(?P<close_inside>\))?\s*"
    r"(?P<after>(?:[\p{L}°%‰\p{Sc}µ][\p{L}\p{M}\d°%‰\p{Sc}µ²³·^./ ]{0,19}?)?)\s*(?P<close>\))?\s*(?P<minus>-)?$"
)
LONGEST = 40  # characters of a number with all that stands beside it

_PLAIN_FORM = {
    **dict.fromkeys("−－‐‑‒–﹣", "-"),
    **dict.fromkeys("’‘＇`´ʼ٬", "'"),
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2008\u200a\u2002\u2003\u2005\u2006\u3000\t", " "),
    "＋": "+",
    "．": ".",
    "，": ",",
    "％": "%",
    "（": "(",
    "）": ")",
    "￥": "¥",
    "＄": "$",
    "￡": "£",
    "٫": ".",
    "٪": "%",
    **dict.fromkeys("\u200b\u200e\u200f\ufeff", ""),
}


@cache
def plain_forms() -> tuple[list[str], list[str]]:
    """Return the digits of all scripts and the marks that have several forms, and what each is in ASCII."""
    forms = dict(_PLAIN_FORM)
    for code in range(128, sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter) == "Nd":
            forms[letter] = str(unicodedata.digit(letter))
    forms |= {chr(code): chr(code - 0xFEE0) for code in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
    return list(forms), list(forms.values())


def unit_key(unit: str) -> str:
    """Return what ways of writing one unit have in common: `Kg.` and `kg`, `year` and `years`, `$` and `USD`."""
    key = " ".join(unit.casefold().replace(".", "").split())
    if len(key) > 3 and key.endswith("s") and key.isalpha():
        key = key[:-1]
    return SAME_UNIT.get(key, key)


def is_currency(unit: str) -> bool:
    """Tell whether a unit is that of an amount of money."""
    words = {word.casefold().rstrip(".") for word in (*CURRENCY_WORDS, *CURRENCY_CODES, *SAME_UNIT)} - {
        "percent",
        "pct",
    }
    return unit.casefold().rstrip(".") in words or (len(unit) == 1 and unicodedata.category(unit) == "Sc")


def scale_and_unit(before: str, after: str, *, has_scales: bool) -> tuple[float, str]:
    """Return what the digits are multiplied by, and the unit: of `$` and `m` a million and `$`, of `kg` one and `kg`.

    has_scales: whether other cells of the column have scales, beside which `m` is a million and not a metre.
    """
    after = after.strip()
    if after.casefold() in SCALED_AMOUNTS and (has_scales or is_currency(before)):
        return SCALED_AMOUNTS[after.casefold()], before
    for text in dict.fromkeys((after, after.lower())):
        found = _SCALE.fullmatch(text)
        if found and (not found[2] or not found[1].isascii() or is_currency(found[2])):
            if text != after and len(found[1]) == 1:
                continue  # only `k` and `K` are alike
            return SCALES[found[1]], before + found[2]
    return 1.0, f"{before}{after}"


def has_scale(after: str) -> bool:
    """Tell whether what follows the digits is a word or letter for thousands, millions..."""
    return scale_and_unit("", after, has_scales=False)[0] != 1.0
