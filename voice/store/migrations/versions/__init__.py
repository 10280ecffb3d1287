"""One module per step; its number is its revision."""
