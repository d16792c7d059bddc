"""Raw data of any layout, read into one kind of table."""
