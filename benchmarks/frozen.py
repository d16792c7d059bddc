"""Training a head on MiniLM, which stays as it is, on banking77, against Hugging Face Trainer.

Both take batches of 64 rows, 10 epochs, AdamW at 2e-3 with a cosine schedule. Luban runs the encoder once, not in every
epoch: without dropout its vectors stay the same.
"""

from harness import Claim, Peer, main

TRAINER = ("transformers", "accelerate", "pandas")
CLAIM = Claim(
    name="frozen",
    text="train a head on frozen MiniLM, banking77, 10 epochs",
    train="banking77/train.csv",
    test="banking77/test.csv",
    target="category",
    columns=("text",),
    model="minilm",
    epochs=10,
    shared={
        "batch_size": 64,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup": 0.05,
        "weight_decay": 0.01,
        "max_length": 128,
    },
    luban={"tokens": {"frozen": True}},
    peers=(Peer("trainer", "hf_finetune.py", TRAINER, bar=10, options={"frozen": True}),),
)

if __name__ == "__main__":
    main(CLAIM)
