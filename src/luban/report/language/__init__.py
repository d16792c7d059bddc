"""The words of pages in two languages."""
