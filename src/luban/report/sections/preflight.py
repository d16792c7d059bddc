"""The checks before the training."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.language.sentences import told
from luban.report.language.words import Words


def build(content: Content, words: Words) -> dict[str, Any] | None:
    event = content.last("PreflightDone")
    if not event:
        return None
    at = content.told(event)

    def text(index: int) -> object:
        found, action = (told(at.text("checks", index, name), words) for name in ("found", "action"))
        return words("check_text", found=found, action=action) if action.text else found

    return {
        "checks": [
            {
                "name": told(at.text("checks", index, "name"), words),
                "status": check["status"],
                "says": words.name("status", check["status"]),
                "text": text(index),
            }
            for index, check in enumerate(event["checks"])
        ]
    }
