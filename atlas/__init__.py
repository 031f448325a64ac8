"""The InceptionV3 feature atlas: what every layer of the network responds to, rendered and browsable."""

__version__ = "0.1.0"

INTERRUPTED = 130  # exit code after Ctrl-C; here, since it must be known before anything else is imported
