"""Making renderings: weights → frozen network → gradient descent on the input → store. Needs torch.

The package can be called, as the function `atlas.api.render`: Python binds a subpackage to its name in the parent when
it is imported, and from then on `from atlas import render` gives the package.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Render one target; see `atlas.api.render`."""
        return import_module("atlas.api").render(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
