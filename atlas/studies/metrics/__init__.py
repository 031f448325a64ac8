"""The metrics L1, L2 and L∞ compared."""
