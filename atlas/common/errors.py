"""Errors for the user: each says what is wrong, where, what is allowed and what to do.

AtlasError              exit code 1   some targets failed, or a check found faults
├── ConfigError         exit code 2   usage or configuration
│   └── TargetError                   a target that cannot be read, or does not fit its layer or recipe
├── WeightsError        exit code 3   weights that cannot be found, reached or read
├── StoreError          exit code 4   a file or folder that cannot be read or written
└── VideoError          exit code 5   a video that cannot be encoded; its frames are kept
"""

from collections.abc import Iterable
from difflib import get_close_matches

RESUME = "completed work is kept; run the same command again to resume"  # the end of a message about an interruption


class AtlasError(Exception):
    """Base of all errors that the program raises on purpose. The message is shown without a traceback."""

    exit_code = 1


class ConfigError(AtlasError, ValueError):
    """A configuration file, a preset or an option of the command line is wrong."""

    exit_code = 2


class TargetError(ConfigError):
    """A target is not in the notation, or names something that the network does not have."""


class WeightsError(AtlasError):
    """Weights are missing, unreachable, altered or of another shape."""

    exit_code = 3


class StoreError(AtlasError):
    """The store or the site cannot be read or written."""

    exit_code = 4


class VideoError(AtlasError):
    """A video cannot be encoded."""

    exit_code = 5


def shorten(text: str) -> str:
    """Cut text for a message: 80 characters at most."""
    return text if len(text) <= 80 else text[:79] + "…"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of an error message: the closest allowed word, or all of them.

    Args:
        word: what was given.
        choices: what is allowed.

    Returns:
        `did you mean "…"?` where something is close, else `allowed: …`.
    """
    by_lower = {choice.lower(): shorten(choice) for choice in choices}
    if close := get_close_matches(word.lower(), by_lower, n=1):
        return f'did you mean "{by_lower[close[0]]}"?'
    return f"allowed: {', '.join(by_lower.values())}"
