"""Fine-tuning MiniLM on banking77, against Hugging Face Trainer: `python benchmarks/banking77.py --rows 1024`.

Both take batches of 16 rows, 3 epochs, AdamW at 5e-5 with a linear schedule and a tenth of the steps to warm up.
"""

from harness import Claim, Peer, main

TRAINER = ("transformers", "accelerate", "pandas")
CLAIM = Claim(
    name="banking77",
    text="fine-tune MiniLM on banking77",
    train="banking77/train.csv",
    test="banking77/test.csv",
    target="category",
    columns=("text",),
    model="minilm",
    epochs=3,
    shared={
        "batch_size": 16,
        "learning_rate": 5e-5,
        "schedule": "linear",
        "warmup": 0.1,
        "weight_decay": 0.01,
        "max_length": 128,
    },
    luban={"train": {"probe": False}},
    peers=(
        Peer("trainer", "hf_finetune.py", TRAINER, bar=6.0),
        Peer("trainer-grouped", "hf_finetune.py", TRAINER, options={"group_by_length": True}),
        Peer("trainer-bfloat16", "hf_finetune.py", TRAINER, bar=4.0, options={"bfloat16": True}, bfloat16=True),
    ),
)

if __name__ == "__main__":
    main(CLAIM)
