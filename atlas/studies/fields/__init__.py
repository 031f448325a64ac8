"""Effective receptive fields, branch by branch."""
