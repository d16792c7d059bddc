"""A small residual network on CIFAR-10, the same on all sides, against Keras and Lightning.

All take batches of 128 rows, 8 epochs, AdamW at 2e-3 falling to 0 as a cosine, weight decay 0.02 and gradients clipped
at norm 1; images are mirrored at random.
"""

from harness import Claim, Peer, main

FILES = ("polars", "PIL")
KERAS, LIGHTNING = ("keras", *FILES), ("lightning", *FILES)
CLAIM = Claim(
    name="cifar10",
    text="train a small residual network on CIFAR-10, decoding its JPEGs included",
    train="cifar10/train.parquet",
    test="cifar10/test.parquet",
    target="label",
    epochs=8,
    shared={
        "batch_size": 128,
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup": 0.0,
        "weight_decay": 0.02,
        "clip_norm": 1.0,
    },
    luban={
        "model": {"grid": {"architecture": "resnet"}, "dropout": 0},
        "train": {"augment": {"flip": True}},
    },
    peers=(
        Peer(
            "keras-tensorflow", "keras_images.py", (*KERAS, "tensorflow"), 2, {"backend": "tensorflow", "net": "resnet"}
        ),
        Peer("keras-jax", "keras_images.py", (*KERAS, "jax"), 2, {"backend": "jax", "net": "resnet"}),
        Peer("keras-torch", "keras_images.py", KERAS, 2, {"backend": "torch", "net": "resnet"}),
        Peer("lightning", "lightning_cifar10.py", LIGHTNING, 2, {"precision": "32-true"}),
        Peer("lightning-bf16", "lightning_cifar10.py", LIGHTNING, None, {"precision": "bf16-mixed"}, bfloat16=True),
    ),
)

if __name__ == "__main__":
    main(CLAIM)
