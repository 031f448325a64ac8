"""The InceptionV3 feature atlas: what every layer of the network responds to, rendered and browsable."""

__version__ = "0.1.0"
