"""The InceptionV3 feature atlas: what every layer of the network responds to, rendered and browsable.

    >>> from atlas import render
    >>> rendering = render("Mixed_6b[654]", weights="demo", size=96, steps=2)

`render`, `load_weights`, the types `Target`, `Recipe`, `Octave`, `Transform`, `Weights` and `Rendering`, and the errors
are the public API. They are imported when they are first used, since torch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atlas.api import (
        AtlasError,
        ConfigError,
        Octave,
        Recipe,
        Rendering,
        Target,
        TargetError,
        Transform,
        Weights,
        WeightsError,
        load_weights,
        render,
    )

__all__ = [
    "AtlasError",
    "ConfigError",
    "Octave",
    "Recipe",
    "Rendering",
    "Target",
    "TargetError",
    "Transform",
    "Weights",
    "WeightsError",
    "load_weights",
    "render",
]
__version__ = "0.2.0"

INTERRUPTED = 130  # exit code after Ctrl-C; here, since it must be known before anything else is imported


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("atlas.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
