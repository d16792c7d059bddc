"""One file a kind of input: its parts, and what stands for a deleted one."""
