"""The checks before the training."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.words import Words


def build(content: Content, words: Words) -> dict[str, Any] | None:
    event = content.last("PreflightDone")
    if not event:
        return None
    checks = [{**check, "says": words.name("status", check["status"])} for check in event["checks"]]
    return {"checks": checks, "seconds": event.get("seconds")}
