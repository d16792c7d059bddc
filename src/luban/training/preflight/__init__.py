"""The checks of a run before time is spent on it, one file a check."""
