"""Fine-tuning MiniLM on MRPC, against Hugging Face Trainer: `python benchmarks/mrpc.py --rows 1024`.

Both take batches of 16 rows, 3 epochs, AdamW at 5e-5 with a linear schedule and a tenth of the steps to warm up.
"""

from harness import Claim, Peer, main

TRAINER = ("transformers", "accelerate", "pandas")
CLAIM = Claim(
    name="mrpc",
    text="fine-tune MiniLM on MRPC",
    train="mrpc/train.csv",
    test="mrpc/test.csv",
    target="label",
    columns=("sentence1", "sentence2"),
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
        Peer("trainer", "hf_finetune.py", TRAINER, bar=3.5),
        Peer("trainer-grouped", "hf_finetune.py", TRAINER, options={"group_by_length": True}),
        Peer("trainer-bfloat16", "hf_finetune.py", TRAINER, bar=2.3, options={"bfloat16": True}, bfloat16=True),
    ),
)

if __name__ == "__main__":
    main(CLAIM)
