"""Which features of a layer: text such as `16`, `all` or `0-15,654` → `Features`."""

import re
from dataclasses import dataclass

from atlas.common.errors import ConfigError, shorten
from atlas.inception.layers import get_layer

_FIRST = re.compile(r"[0-9]{1,6}")
_RANGE = re.compile(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?")


@dataclass(frozen=True)
class Features:
    """A choice of features, the same for each layer; those that a layer lacks are left out."""

    first: int | None = None  # the first so many; None with no ranges: all
    ranges: tuple[tuple[int, int], ...] = ()  # (first, last), both included

    def of(self, layer: str) -> tuple[int, ...]:
        """The chosen features of a layer, ascending."""
        return self.among(get_layer(layer).features)

    def among(self, features: int) -> tuple[int, ...]:
        """The chosen ones of so many features, ascending."""
        if self.ranges:
            chosen = {f for first, last in self.ranges for f in range(first, min(last + 1, features))}
            return tuple(sorted(chosen))
        return tuple(range(features if self.first is None else min(self.first, features)))

    @property
    def last_named(self) -> int:
        """The highest feature that is named, -1 if none is."""
        return max((last for _, last in self.ranges), default=-1)


def parse_features(text: str) -> Features:
    """Read a choice of features.

    Args:
        text: `16` (the first 16), `all`, or a list with a comma or a range: `654,`, `654-654`, `0-15,654`.

    Raises:
        ConfigError: not of that form.
    """
    text = text.strip()
    if text == "all":
        return Features()
    if _FIRST.fullmatch(text) and int(text) > 0:
        return Features(first=int(text))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    is_list = bool(parts) and ("," in text or "-" in text)
    if not is_list:
        raise ConfigError('must be a number above 0, "all", or a list such as 0-15,654')
    return Features(ranges=tuple(map(_range, parts)))


def _range(part: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(part)
    if not match:
        raise ConfigError(f'"{shorten(part)}" is neither a feature nor a range such as 5-9')
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ConfigError(f"the range {part} runs backwards; write {last}-{first}")
    return first, last
