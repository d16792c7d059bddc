"""Which of two classes is the positive one: as set, by what the classes are called, or the second in order."""

from __future__ import annotations

import unicodedata

from luban.core.errors import ConfigError, listed, nearest
from luban.core.sentence import Sentence, sentence
from luban.features.cells import quoted, shortened
from luban.tasks.base import Task
from luban.tasks.classification import Binary

# What a class is called that says yes, or that is the rarer thing to be found; and what the other one is called.
_POSITIVE = """
    yes y true t 1 positive pos spam fraud fraudulent churn churned default defaulted click clicked buy bought purchase
    purchased converted conversion sick ill disease diseased abnormal abnormality anomaly anomalous outlier malignant
    cancer tumor tumour attack malicious malware phishing toxic hate hateful offensive abusive fake failure failed
    faulty defect defective dead died death infected present relevant duplicate entailment
    是 有 正 真 对 阳 阳性 正面 积极 好评 正类 垃圾 垃圾邮件 垃圾短信 欺诈 流失 违约 异常 恶性 患病 故障 点击 购买
"""
_NEGATIVE = """
    no n false f 0 negative neg none ham legit legitimate genuine real retained stay stayed paid normal healthy benign
    clean absent irrelevant alive survived
    否 无 负 假 错 阴 阴性 负面 消极 差评 负类 没有 正常 良性 健康 合法
"""
POSITIVE, NEGATIVE = frozenset(_POSITIVE.split()), frozenset(_NEGATIVE.split())
DENIALS = ("not ", "not_", "not-", "no ", "no_", "no-", "non ", "non_", "non-", "non", "非", "不", "无", "未", "没")


def with_positive(task: Task, wanted: str | None) -> tuple[Task, str | None, list[Sentence]]:
    """Return a task of two classes with its positive one second, that one's name, and how it was chosen, in a sentence.

    wanted: the setting `task.positive`; other tasks have none. Raises ConfigError where it is none of the two classes,
    or the task has no positive class.
    """
    if not isinstance(task, Binary):
        if wanted is not None:
            raise ConfigError(
                "task.positive",
                expected="a target of two classes",
                found=f"the task {task.name}",
                action="Remove the setting, or set data.task",
            )
        return task, None, []
    if wanted is not None:
        place = _place_of(wanted, task.names)
        return task.with_positive(place), task.names[place], []
    place, why = guess(task.names)
    chosen = {"label": shortened(task.names[place]), "other": shortened(task.names[1 - place])}
    told = {
        "name": sentence(
            "positive.name", "positive class: '{label}', by its name (set it with task.positive)", **chosen
        ),
        "other": sentence(
            "positive.other",
            "positive class: '{label}', by the name of the other one, '{other}' (set it with task.positive)",
            **chosen,
        ),
        "order": sentence(
            "positive.order",
            "positive class: '{label}', the second in order after '{other}' (set it with task.positive)",
            **chosen,
        ),
    }
    return task.with_positive(place), task.names[place], [told[why]]


def guess(names: list[str]) -> tuple[int, str]:
    """Return the place of the positive one of two classes, and what tells it: its `name`, that of the `other`, or the
    `order` alone.

    A name that denies the other (`not spam`, `非垃圾`) is the negative one, whatever the words mean.
    """
    plain = [unicodedata.normalize("NFKC", name).strip().casefold() for name in names]
    for place in (0, 1):
        if any(plain[1 - place] == denial + plain[place] for denial in DENIALS):
            return place, "other"
    for words, why in ((POSITIVE, "name"), (NEGATIVE, "other")):
        known = [place for place in (0, 1) if plain[place] in words]
        if len(known) == 1:
            return (known[0] if why == "name" else 1 - known[0]), why
    return 1, "order"


def _place_of(wanted: str, names: list[str]) -> int:
    if wanted in names:
        return names.index(wanted)
    alike = [place for place, name in enumerate(names) if name.casefold() == wanted.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    raise ConfigError(
        "task.positive",
        expected=f"one of the two classes, {listed(names)}",
        found=quoted(wanted),
        action=f"{nearest(wanted, names)}Name one of them",
    )
