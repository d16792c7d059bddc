"""What people write in cells, read one way everywhere: numbers, values in several spellings, dates, lists of labels."""
