"""One file a command, each thin: its options, and the calls behind it."""
