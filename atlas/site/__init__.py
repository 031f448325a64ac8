"""Showing what was rendered: store → static pages. Loads without torch."""
