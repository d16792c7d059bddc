"""Text: prose, its tokenizer and its feature."""
