"""Descriptions of pictures as vectors, and an order of pictures in which neighbours are alike. Pure functions."""

from collections.abc import Iterable, Mapping

import numpy as np

from atlas.studies.shared.maps import Array

COLOURS = 144  # bins of colours, with which a description begins; those of directions follow
DIGITS = 6  # of a likeness, so that an order does not depend on the last bits of a sum


def unit_vectors(described: Iterable[bytes]) -> Array:
    """Descriptions, n of them -> [n, d], of which a dot product is a likeness: the two histograms' mean overlap."""
    roots = np.stack([np.frombuffer(one, dtype=np.uint8) for one in described]).astype(np.float64)
    parts = (roots[:, :COLOURS], roots[:, COLOURS:])
    scaled = (part / np.linalg.norm(part, axis=1, keepdims=True) / np.sqrt(2) for part in parts)
    return np.concatenate(list(scaled), axis=1)


def chain(described: Mapping[int, bytes]) -> list[int]:
    """Order pictures so that neighbours are alike.

    The two that are most alike come first; the chain then grows at either end, by the picture that is most like the
    one there. Of equal ones the earlier is taken.

    Args:
        described: n pictures by number, each as `measure.describe` makes it.

    Returns:
        All of the numbers, so turned that the end with the lower one comes first.
    """
    if len(described) < 2:
        return list(described)
    numbers = list(described)
    vectors = unit_vectors(described.values())
    likeness = (vectors @ vectors.T).round(DIGITS)  # [n, n]
    np.fill_diagonal(likeness, -1)
    first, second = divmod(int(likeness.argmax()), len(numbers))
    ends = [[first], [second]]  # the two halves, each from the middle outwards
    likeness[:, [first, second]] = -1  # what has its place is like none
    for _ in numbers[2:]:
        best = [(likeness[half[-1]].max(), half) for half in ends]
        half = best[0][1] if best[0][0] >= best[1][0] else best[1][1]
        at = int(likeness[half[-1]].argmax())
        half.append(at)
        likeness[:, at] = -1
    found = [numbers[at] for at in (*ends[0][::-1], *ends[1])]
    return found if found[0] < found[-1] else found[::-1]
