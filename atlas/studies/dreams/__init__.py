"""Deep dreams: photographs as starts."""
