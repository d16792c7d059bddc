"""The checks before the training."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.words import Words


def build(content: Content, words: Words) -> dict[str, Any] | None:
    event = content.last("PreflightDone")
    if not event:
        return None
    at = content.told(event)
    return {
        "checks": [
            {
                "name": check["name"],
                "status": check["status"],
                "says": words.name("status", check["status"]),
                "found": at.text("checks", index, "found"),
                "action": at.text("checks", index, "action"),
            }
            for index, check in enumerate(event["checks"])
        ]
    }
