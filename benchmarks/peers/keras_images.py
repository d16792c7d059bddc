"""Keras 3 on images: decoded once into memory, then `model.fit`, on the backend of the job."""

from __future__ import annotations

import os
from typing import Any

from side import Stopwatch, answer, read_job

JOB = read_job()
os.environ["KERAS_BACKEND"] = JOB["backend"]  # read when Keras is imported

import keras  # noqa: E402
import pictures  # noqa: E402
from keras import layers  # noqa: E402

STEPS_A_CALL = 16  # batches in one call of the compiled function; JAX would compile them one by one


def mlp(classes: int) -> keras.Model:
    dense = [layers.Dense(width, activation="relu") for width in (256, 128)]
    return keras.Sequential([layers.Flatten(), layers.Rescaling(1 / 255), *dense, layers.Dense(classes)])


def conv(x: Any, channels: int, *, pool: bool = False) -> Any:
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    if pool:
        x = layers.MaxPooling2D(2, padding="same")(x)
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1
    return layers.ReLU()(layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5)(x))


def resnet(classes: int) -> keras.Model:
    """The residual network of luban/models/cnn.py: 16, 64 + block, 128 + block, 256 channels, maximum over the map."""
    first = keras.config.image_data_format() == "channels_first"
    inputs = keras.Input((3, 32, 32) if first else (32, 32, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = conv(layers.Rescaling(1 / 63.75, offset=-2.0)(x), 16)
    for channels, blocks in ((64, 1), (128, 1), (256, 0)):
        x = conv(x, channels, pool=True)
        for _ in range(blocks):
            x = layers.Add()([x, conv(conv(x, channels), channels)])
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalMaxPooling2D()(x)))


def optimizer(rows: int) -> keras.optimizers.Optimizer:
    rate: Any = JOB["learning_rate"]
    if JOB["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, JOB["epochs"] * -(-rows // JOB["batch_size"]))
    if JOB["optimizer"] == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=JOB["weight_decay"], global_clipnorm=JOB["clip_norm"])
    return keras.optimizers.Adam(rate)


def main() -> None:
    if JOB["net"] == "resnet" and JOB["backend"] == "torch":
        keras.config.set_image_data_format("channels_first")  # the order in which torch takes images
    keras.utils.set_random_seed(JOB["seed"])  # imports TensorFlow where it is installed: before the clock runs
    stopwatch = Stopwatch()
    (images, labels), (test_images, test_labels) = pictures.read(JOB)
    if keras.config.image_data_format() == "channels_first":
        images, test_images = (part.transpose(0, 3, 1, 2).copy() for part in (images, test_images))
    model = {"mlp": mlp, "resnet": resnet}[JOB["net"]](int(labels.max()) + 1)
    options = {"steps_per_execution": STEPS_A_CALL} if JOB["backend"] == "tensorflow" else {}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(len(images)), loss, metrics=["accuracy"], **options)
    stopwatch.stage("prepare")
    model.fit(images, labels, batch_size=JOB["batch_size"], epochs=JOB["epochs"], verbose=0)
    stopwatch.stage("train")
    _, accuracy = model.evaluate(test_images, test_labels, batch_size=512, verbose=0)
    stopwatch.stage("evaluate")
    answer(stopwatch, ("keras", JOB["backend"]), scores={"accuracy": float(accuracy)}, rows=len(images))


if __name__ == "__main__":
    main()
