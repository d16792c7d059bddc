"""A dense network with embedded categories on the Adult table, against Keras and skorch.

All take batches of 256 rows, 10 epochs, Adam at 1e-3 held constant, layers of 256 and 128 with dropout 0.1.
"""

from harness import Claim, Peer, main

SETTINGS = {"hidden": [256, 128], "dropout": 0.1}
KERAS = ("keras", "pandas")
CLAIM = Claim(
    name="adult",
    text="train a dense network with embeddings on Adult",
    train="adult/adult.csv",
    test=None,
    target="income",
    epochs=10,
    shared={
        "batch_size": 256,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
        "clip_norm": None,
    },
    luban={"model": SETTINGS},
    peers=(
        Peer("keras-tensorflow", "keras_adult.py", (*KERAS, "tensorflow"), 3, {"backend": "tensorflow", **SETTINGS}),
        Peer("keras-jax", "keras_adult.py", (*KERAS, "jax"), 3, {"backend": "jax", **SETTINGS}),
        Peer("keras-torch", "keras_adult.py", KERAS, 3, {"backend": "torch", **SETTINGS}),
        Peer("skorch", "skorch_adult.py", ("skorch", "pandas"), 3, SETTINGS),
    ),
)

if __name__ == "__main__":
    main(CLAIM)
