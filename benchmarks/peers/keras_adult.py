"""Keras 3 on the Adult table: arrays in memory, then `model.fit`, on the backend of the job."""

from __future__ import annotations

import os

from side import Stopwatch, answer, read_job

JOB = read_job()
os.environ["KERAS_BACKEND"] = JOB["backend"]  # read when Keras is imported

import census  # noqa: E402
import keras  # noqa: E402
from keras import layers  # noqa: E402

STEPS_A_CALL = 16  # batches in one call of the compiled function; JAX would compile them one by one


def build(numbers: int, sizes: list[int], classes: int) -> keras.Model:
    inputs = [keras.Input((numbers,)), keras.Input((len(sizes),), dtype="int32")]
    embedded = [
        layers.Embedding(size, census.embedding_dim(size))(inputs[1][:, column]) for column, size in enumerate(sizes)
    ]
    x = layers.Concatenate()([inputs[0], *embedded])
    for width in JOB["hidden"]:
        x = layers.Dropout(JOB["dropout"])(layers.Dense(width, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(classes)(x))


def main() -> None:
    keras.utils.set_random_seed(JOB["seed"])  # imports TensorFlow where it is installed: before the clock runs
    stopwatch = Stopwatch()
    rows, test_rows, sizes, classes = census.read(JOB["train"], JOB["test"], JOB["target"])
    model = build(rows.numbers.shape[1], sizes, classes)
    options = {"steps_per_execution": STEPS_A_CALL} if JOB["backend"] == "tensorflow" else {}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(JOB["learning_rate"]), loss, metrics=["accuracy"], **options)
    stopwatch.stage("prepare")
    batches = {"batch_size": JOB["batch_size"], "epochs": JOB["epochs"]}
    model.fit([rows.numbers, rows.ids], rows.labels, **batches, verbose=0)
    stopwatch.stage("train")
    _, accuracy = model.evaluate([test_rows.numbers, test_rows.ids], test_rows.labels, batch_size=4096, verbose=0)
    stopwatch.stage("evaluate")
    answer(stopwatch, ("keras", JOB["backend"]), scores={"accuracy": float(accuracy)}, rows=len(rows.labels))


if __name__ == "__main__":
    main()
