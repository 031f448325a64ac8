"""Where a single neuron changes the picture."""
