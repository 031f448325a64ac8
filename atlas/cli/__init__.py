"""The command line: parse, call one function, print, exit code. Heavy imports happen inside the commands."""

from atlas.cli import info, render, site
from atlas.cli.app import app

__all__ = ["app", "info", "render", "site"]
