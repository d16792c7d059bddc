"""The sections of the report in their order: a new one is a file, a template and a line here."""

from __future__ import annotations

from luban.report.sections import cost, data, evaluation, explanations, mistakes, preflight, slices, training, usage
from luban.report.sections.base import Section

SECTIONS = (
    Section("data", data.build),
    Section("training", training.build),
    Section("evaluation", evaluation.build, of_target=True),
    Section("slices", slices.build, of_target=True),
    Section("mistakes", mistakes.build, of_target=True),
    Section("explanations", explanations.build, "explanations.json#", of_target=True),
    Section("preflight", preflight.build),
    Section("cost", cost.build),
    Section("usage", usage.build),
)
