"""The command line: parse, call one function, print, exit code. Heavy imports happen inside the commands."""

from atlas.cli import asking, making, showing
from atlas.cli.app import app

__all__ = ["app", "asking", "making", "showing"]
