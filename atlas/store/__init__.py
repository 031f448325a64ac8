"""Keeping what was rendered: PNG masters with their provenance inside. Loads without torch."""
