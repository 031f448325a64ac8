"""Findings of which no page can be made: `Atlas` → its pages, and the atlas without such findings.

A finding of the right types may still be another list, another number of features, or a number beyond all charts. It
counts as one that is not there, so that everything else is shown.
"""

from collections.abc import Sequence
from dataclasses import replace

from atlas.common.errors import AtlasError
from atlas.site.catalogue import Atlas
from atlas.site.models import Page
from atlas.site.pages import make_pages
from atlas.store.results import list_results

_KINDS = (
    ArithmeticError,
    AssertionError,
    AtlasError,
    AttributeError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


def fitting_pages(atlas: Atlas) -> tuple[Atlas, list[Page]]:
    """All pages of an atlas, and the atlas without the findings that fit none, which it names as damaged.

    An error that comes without any finding too is the program's own, and goes on as it is.
    """
    try:
        return atlas, make_pages(atlas)
    except _KINDS:
        every = list_results(atlas.config.store, atlas.weights) if atlas.weights else ()
        none = replace(atlas, misfits=frozenset(every))
        without = make_pages(none)
    rest = replace(atlas, misfits=frozenset(_misfits(none, every)))
    try:
        return rest, make_pages(rest)
    except _KINDS:  # some fit no page together, and each by itself does
        return none, without


def _misfits(none: Atlas, names: Sequence[str]) -> list[str]:
    """Those of some findings with which no pages can be made, found by halves, since most often there is one.

    Args:
        none: the atlas without any finding.
        names: of the findings.
    """
    try:
        make_pages(replace(none, misfits=none.misfits.difference(names)))
    except _KINDS:
        if len(names) == 1:
            return list(names)
        middle = len(names) // 2
        return _misfits(none, names[:middle]) + _misfits(none, names[middle:])
    return []
