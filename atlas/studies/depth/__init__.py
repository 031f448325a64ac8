"""Fineness, colours and edges of the pictures of each layer, and their trends over depth."""
