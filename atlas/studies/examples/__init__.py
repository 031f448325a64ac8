"""Maximally activating crops of a folder of pictures."""
