"""Two targets alone, together and in between; a layer's pictures before its features."""
