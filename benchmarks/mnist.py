"""MNIST's dense network 784-256-128-10, from the file of PNGs to the trained model, against Keras and torch loops.

All take batches of 128 rows, 10 epochs, Adam at 1e-3 held constant, no augmentation.
"""

from harness import Claim, Peer, main

FILES = ("polars", "PIL")
KERAS = ("keras", *FILES)
CLAIM = Claim(
    name="mnist",
    text="train the dense network 784-256-128-10 on MNIST, decoding its PNGs included",
    train="mnist/train.parquet",
    test="mnist/test.parquet",
    target="label",
    epochs=10,
    shared={
        "batch_size": 128,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
        "clip_norm": None,
    },
    luban={
        "model": {"grid": {"architecture": "flatten"}, "hidden": [256, 128], "dropout": 0},
        "train": {"augment": "none"},
    },
    peers=(
        Peer("keras-tensorflow", "keras_images.py", (*KERAS, "tensorflow"), 3, {"backend": "tensorflow", "net": "mlp"}),
        Peer("keras-jax", "keras_images.py", (*KERAS, "jax"), 3, {"backend": "jax", "net": "mlp"}),
        Peer("keras-torch", "keras_images.py", KERAS, 3, {"backend": "torch", "net": "mlp"}),
        Peer("torch-dataloader", "torch_mnist.py", FILES, 8, {"decode": "each time"}),
        Peer("torch-in-memory", "torch_mnist.py", FILES, None, {"decode": "once"}),
    ),
)

if __name__ == "__main__":
    main(CLAIM)
