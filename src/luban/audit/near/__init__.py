"""Rows that are nearly alike, one file a kind of content."""
