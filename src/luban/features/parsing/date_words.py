"""The words and signs that stand in dates as people write them, as patterns on upper-case text."""

from __future__ import annotations

MONTHS = (
    "JAN(?:UARY)?", "FEB(?:RUARY)?", "MAR(?:CH)?", "APR(?:IL)?", "MAY", "JUNE?", "JULY?", "AUG(?:UST)?",
    "SEP(?:T(?:EMBER)?)?", "OCT(?:OBER)?", "NOV(?:EMBER)?", "DEC(?:EMBER)?",
)  # fmt: skip
MONTH = rf"(?:{'|'.join(MONTHS)})"
MONTH_NUMBERS = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1
    )
}
CHINESE_MONTHS = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")

WEEKDAY = (
    r"[(\[]?(?:\b(?:MON|TUES?|WED(?:NES)?|THU(?:RS?)?|FRI|SAT(?:UR)?|SUN)(?:DAY)?\b|(?:星期|周|礼拜)[一二三四五六日天])"
    r"[.)\]]?"
)
MORNING, AFTERNOON = ("AM", "上午", "凌晨", "早上"), ("PM", "下午", "晚上", "中午")
HALF_AFTER = r"A\.?M\.?|P\.?M\.?"
HALF_BEFORE = rf"上午|下午|凌晨|早上|中午|晚上|{HALF_AFTER}"

# Names of zones as they stand behind a time; which clock they mean is told, and nothing is converted.
ZONE_NAMES = (
    "UTC", "GMT", "UT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "AKST", "AKDT", "HST", "AST", "ADT",
    "NST", "NDT", "WET", "WEST", "CET", "CEST", "MEZ", "MESZ", "EET", "EEST", "BST", "IST", "MSK", "SAST", "PKT", "ICT",
    "WIB", "HKT", "SGT", "PHT", "JST", "KST", "AWST", "ACST", "ACDT", "AEST", "AEDT", "NZST", "NZDT", "BRT", "ART",
)  # fmt: skip
OFFSET = r"[+\-−]\d{1,2}(?::?\d{2})?"
REGION = r"[A-Z]+(?:/[A-Z_+\-0-9]+)+"
ZONE = (
    rf"(?:Z\b|(?:UTC|GMT)\s?{OFFSET}|{OFFSET}|(?:{'|'.join(ZONE_NAMES)})\b|{REGION})"
    r"(?:\s*\[[A-Z_/+\-0-9]+\]|\s*\([A-Z0-9 ,+\-:]+\))?"
    rf"|\[{REGION}\]|\((?:{'|'.join(ZONE_NAMES)})\)"
)
