"""How far a neuron reaches: frames of videos, pairs of neurons and disturbed starts."""
