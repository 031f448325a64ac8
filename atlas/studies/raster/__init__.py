"""Raster videos: a frame for each neuron, in reading order."""
