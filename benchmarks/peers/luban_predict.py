"""Luban's side of predict.py: a finished run predicts a file."""

from __future__ import annotations

import warnings

from side import Stopwatch, answer, read_job

import luban.model


def main() -> None:
    job = read_job()
    stopwatch = Stopwatch()
    model = luban.model.Model.load(job["run"])
    stopwatch.stage("load")
    table = model.read(job["test"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on unusual cells are no part of the measurement
        frame = model.predict(table)
    predicted = frame.to_series(0).cast(str).to_list()
    stopwatch.stage("predict")
    actual = table.frame[job["target"]].cast(str).to_list()
    accuracy = sum(map(str.__eq__, predicted, actual)) / len(actual)
    answer(stopwatch, ("luban", "torch"), scores={"accuracy": accuracy}, rows=len(actual))


if __name__ == "__main__":
    main()
