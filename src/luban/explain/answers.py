"""What explanations say of a prediction: one class a kind of answer, and the table of them all.

Shapes: S variants of the row · C outputs
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.tasks.base import Task
from luban.tasks.classification import Classification
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression

T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class Answer:
    """The prediction that is explained. label, position: of several labels the most probable one, which the weights
    are of, and its place among the outputs, None of a value. unit: of the weights."""

    text: str
    label: str
    position: int | None
    probability: float | None
    unit: str


class Explained(ABC, Generic[T]):
    """One kind of answer. helps, hinders: what a sentence calls the parts of a positive and of a negative weight."""

    helps: ClassVar[str] = "what speaks most for it is"
    hinders: ClassVar[str] = "what speaks most against it is"

    @abstractmethod
    def answer(self, task: T, outputs: Tensor) -> Answer:
        """Return what is predicted of one row. outputs: of the task, one row first."""

    @abstractmethod
    def score(self, task: T, answer: Answer, logits: Tensor) -> Tensor:
        """(S, output_dim) -> (S,): log odds of the explained label, or the value."""

    def scale(self, task: T) -> float:
        """Return what a score is divided by for a unit that needs no scale; log odds are such."""
        return 1.0

    def said(self, answer: Answer) -> str:
        """Return the prediction as a sentence names it."""
        return answer.text


class ExplainedClass(Explained[Classification]):
    """The label that is said, against all others together."""

    def answer(self, task: Classification, outputs: Tensor) -> Answer:
        label, position = _text(task, outputs), int(task.decide(outputs.numpy())[0])
        return Answer(label, label, position, float(outputs[0, position]), _log_odds(label))

    def score(self, task: Classification, answer: Answer, logits: Tensor) -> Tensor:
        if task.positive is not None:  # two classes have one logit, that of the positive one
            return logits[:, 0] if answer.position == 1 else -logits[:, 0]
        others = [label for label in range(logits.shape[1]) if label != answer.position]
        return logits[:, answer.position] - logits[:, others].logsumexp(dim=1)


class ExplainedLabels(Explained[MultiLabel]):
    """The most probable label."""

    def answer(self, task: MultiLabel, outputs: Tensor) -> Answer:
        position = int(outputs.argmax(dim=1)[0])
        label = task.labels[position]
        return Answer(_text(task, outputs), label, position, float(outputs[0, position]), _log_odds(label))

    def score(self, task: MultiLabel, answer: Answer, logits: Tensor) -> Tensor:
        return logits[:, answer.position]

    def said(self, answer: Answer) -> str:
        return f"{answer.text or 'no label'}, most probably '{answer.label}'"


class ExplainedNumber(Explained[Regression]):
    """The value, in the target's unit."""

    helps: ClassVar[str] = "what raises it most is"
    hinders: ClassVar[str] = "what lowers it most is"

    def answer(self, task: Regression, outputs: Tensor) -> Answer:
        text = f"{float(outputs[0]):.6g}"
        return Answer(text, text, None, None, f"{task.target}, in its own unit")

    def score(self, task: Regression, answer: Answer, logits: Tensor) -> Tensor:
        return task.outputs(logits)

    def scale(self, task: Regression) -> float:
        """Standard deviations of the target."""
        return task.std


EXPLAINED: dict[AnswerKind, Explained[Any]] = {
    AnswerKind.CLASS: ExplainedClass(),
    AnswerKind.LABELS: ExplainedLabels(),
    AnswerKind.NUMBER: ExplainedNumber(),
}


def explained(task: Task) -> Explained[Any]:
    """Return how the answers of a task are explained. Raises ConfigError where they are not."""
    if task.answer not in EXPLAINED:
        raise ConfigError(
            f"task {task.name}",
            expected="one answer a row, to say which parts of the row speak for it",
            found="answers of several parts",
            action="Explain a model of another task; the predictions themselves say how probable each part is",
        )
    return EXPLAINED[task.answer]


def _text(task: Task, outputs: Tensor) -> str:
    return str(task.decode(outputs.numpy()).item(0, 0))


def _log_odds(label: str) -> str:
    return f"log odds of '{label}', in nats"
