"""Recipes compared, and raw descent beside each feature's own picture."""
