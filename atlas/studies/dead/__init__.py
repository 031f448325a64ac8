"""Features without a gradient, or not raised, and their rescue."""
