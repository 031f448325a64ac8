"""What to maximise, in the article's tensor notation: text ↔ `Target`, validated against the layer table.

target = term ("+" term)*
term   = [number "*"] Layer "[" (feature | ":") ["," position] "]"
position = row "," col | row "," ":" | ":k"           with 1 ≤ k ≤ rows·cols, and [f, :, :] reads as [f]
"""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import ClassVar, assert_never

from atlas.common.errors import TargetError, shorten
from atlas.inception import layers
from atlas.inception.architecture import Size

HELP = 'write for instance "Mixed_6b[654]", "Mixed_6b[654, 3, :]", "Mixed_6b[415, 9, 9]" or "Mixed_6b[654, :40]"'
LONGEST_SLUG = 160  # characters; a file name may have 255 bytes, and seeds and suffixes follow


class _Position:
    """Neurons of a feature map; the formats are filled with the fields of a position."""

    notation: ClassVar[str] = ""
    ending: ClassVar[str] = ""

    def __str__(self) -> str:
        return self.notation.format(**vars(self))

    @property
    def slug(self) -> str:
        """The end of a file name."""
        return self.ending.format(**vars(self))


@dataclass(frozen=True)
class Whole(_Position):
    """Every neuron of the feature map."""


@dataclass(frozen=True)
class Row(_Position):
    """The neurons of one row."""

    row: int
    notation, ending = ", {row}, :", "_r{row:02d}"


@dataclass(frozen=True)
class Neuron(_Position):
    """One neuron."""

    row: int
    col: int
    notation, ending = ", {row}, {col}", "_r{row:02d}_c{col:02d}"


@dataclass(frozen=True)
class Prefix(_Position):
    """The first neurons in reading order: all rows before, and the current row up to the column."""

    count: int
    notation, ending = ", :{count}", "_k{count:04d}"


Position = Whole | Row | Neuron | Prefix
WHOLE = Whole()


@dataclass(frozen=True)
class Term:
    """A weighted feature, or all features of a layer, over some of its neurons."""

    layer: str
    feature: int | None  # None: every feature of the layer
    position: Position = WHOLE
    coefficient: float = 1.0

    def __str__(self) -> str:
        feature = ":" if self.feature is None else self.feature
        factor = "" if self.coefficient == 1 else f"{_number(self.coefficient)}*"
        return f"{factor}{self.layer}[{feature}{self.position}]"

    @property
    def slug(self) -> str:
        """The term in characters that every file system takes."""
        feature = "all" if self.feature is None else f"{self.feature:04d}"
        factor = "" if self.coefficient == 1 else f"{_number(self.coefficient)}x"
        return f"{factor}{self.layer}_{feature}{self.position.slug}"


@dataclass(frozen=True)
class Target:
    """A sum of terms; `str` gives the notation, and `parse(str(target)) == target`."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read a target; see the function `parse`."""
        return parse(text)

    def __str__(self) -> str:
        return " + ".join(str(term) for term in self.terms)

    @property
    def slug(self) -> str:
        """File name of the target's master, without seed, start and extension; different for different targets."""
        slug = "+".join(term.slug for term in self.terms)
        if len(slug) <= LONGEST_SLUG:
            return slug
        digest = hashlib.sha256(str(self).encode()).hexdigest()[:16]
        return f"{slug[:LONGEST_SLUG]}~{digest}"

    @property
    def deepest(self) -> str:
        """The last layer that must run."""
        return max((term.layer for term in self.terms), key=layers.depth)

    @property
    def deepest_features(self) -> frozenset[int] | None:
        """The features of the deepest layer in it; None if there is a term of all features of that layer."""
        features = {term.feature for term in self.terms if term.layer == self.deepest}
        return None if None in features else frozenset(feature for feature in features if feature is not None)

    @property
    def has_positions(self) -> bool:
        """Whether some term names rows, neurons or a prefix rather than whole feature maps."""
        return any(term.position != WHOLE for term in self.terms)

    @property
    def is_feature(self) -> bool:
        """Whether this is one whole feature map and nothing else."""
        first = self.terms[0]
        return first.feature is not None and self.terms == (Term(first.layer, first.feature),)

    @property
    def is_class(self) -> bool:
        """Whether this is one class of the classifier and nothing else."""
        return self.is_feature and self.deepest == layers.FC

    @property
    def features_summed(self) -> int:
        """Number of features in the loss, over all terms."""
        counts = (layers.get_layer(t.layer).features if t.feature is None else 1 for t in self.terms)
        return sum(counts)

    def check_positions(self, size: Size) -> None:
        """Check every position against its feature map.

        Args:
            size: (height, width) in pixels of the recipe's first octave, to which positions belong.

        Raises:
            TargetError: a row, column or prefix lies outside.
        """
        for term in self.terms:
            _check_position(term, size)

    def check_classes(self, count: int, weights: str) -> None:
        """Check every class against the classifier of some weights.

        Args:
            count: of their classes, 0 if they have no classifier.
            weights: their name.

        Raises:
            TargetError: the classifier lacks a class, or there is none.
        """
        for term in self.terms:
            if term.layer != layers.FC or (term.feature or 0) < count:
                continue
            has = f"{layers.FC} has {count} classes, 0 to {count - 1}" if count else f"they have no {layers.FC} layer"
            raise TargetError(f"target {_quote(str(term))}: the weights {weights} have no such class; {has}")


def feature_target(layer: str, feature: int) -> Target:
    """The target of a whole feature map, `layer[feature]`."""
    return Target((_checked(Term(layer, feature)),))


def parse(text: str) -> Target:
    """Read a target.

    Args:
        text: notation such as `Mixed_6b[654, 3, :]` or `0.3*Mixed_6a[199] + 0.7*Mixed_6b[201]`.

    Raises:
        TargetError: not in the notation, or no such layer or feature. Positions are checked later, against a
            recipe's first size, by `Target.check_positions`.
    """
    terms = []
    at = 0
    while True:
        match = _TERM.match(text, at)
        if match is None:
            raise TargetError(f"target {_quote(text)} cannot be read from {_quote(text[at:].strip())} on; {HELP}")
        terms.append(_term(text, match))
        at = match.end()
        if at == len(text):
            return Target(tuple(terms))
        if text[at] != "+":
            raise TargetError(f"target {_quote(text)}: expected a + before {_quote(text[at:])}; {HELP}")
        at += 1


_TERM = re.compile(
    r"\s*(?:(?P<factor>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\*)?"
    r"\s*(?P<layer>[A-Za-z]\w*)\s*\[(?P<inside>[^\[\]]*)\]\s*",
    re.ASCII,
)
_INTEGER = re.compile(r"[0-9]{1,9}")


def _quote(text: str) -> str:
    return f"“{shorten(text)}”"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _term(text: str, match: re.Match[str]) -> Term:
    factor = float(match["factor"] or 1)
    if not math.isfinite(factor) or factor == 0:
        raise TargetError(f"target {_quote(text)}: the coefficient {match['factor']} is not a finite number beside 0")
    parts = [part.strip() for part in match["inside"].split(",")]
    feature = None if parts[0] == ":" else _integer(text, parts[0], "feature")
    return _checked(Term(match["layer"], feature, _position(text, parts[1:]), factor))


def _position(text: str, parts: list[str]) -> Position:
    match parts:
        case [] | [":", ":"]:
            return WHOLE
        case [row, ":"]:
            return Row(_integer(text, row, "row"))
        case [":", _]:
            raise TargetError(f"target {_quote(text)}: columns across all rows cannot be targets; {HELP}")
        case [row, col]:
            return Neuron(_integer(text, row, "row"), _integer(text, col, "col"))
        case [prefix] if prefix.startswith(":"):
            return Prefix(_integer(text, prefix[1:].strip(), "number of neurons"))
    raise TargetError(f"target {_quote(text)}: {_quote(', '.join(parts))} is no position; {HELP}")


def _integer(text: str, part: str, what: str) -> int:
    if not _INTEGER.fullmatch(part):
        raise TargetError(f"target {_quote(text)}: the {what} {_quote(part)} is not a whole number from 0; {HELP}")
    return int(part)


def _checked(term: Term) -> Term:
    layer = layers.get_layer(term.layer)
    if term.feature is not None and not 0 <= term.feature < layer.features:
        last = layer.features - 1
        if layer.name == layers.FC:
            raise TargetError(f"{layer.name} has no class {term.feature}; no weights have more than {layer.features:,}")
        raise TargetError(f"{layer.name} has no feature {term.feature}; its {layer.features} features are 0 to {last}")
    if layer.name == layers.FC and (term.feature is None or term.position != WHOLE):
        raise TargetError(f"target {_quote(str(term))}: name one class, without a position, such as {layer.name}[281]")
    return term


def _check_position(term: Term, size: Size) -> None:
    rows, cols = layers.grid(term.layer, size)
    where = f"{term.layer}'s feature map is {rows}×{cols} at {size[0]}×{size[1]} px"
    match term.position:
        case Row(row) | Neuron(row, _) if row >= rows:
            raise TargetError(f"target {_quote(str(term))}: no row {row}; {where}, so rows are 0 to {rows - 1}")
        case Neuron(_, col) if col >= cols:
            raise TargetError(f"target {_quote(str(term))}: no column {col}; {where}, so columns are 0 to {cols - 1}")
        case Prefix(count) if not 1 <= count <= rows * cols:
            raise TargetError(f"target {_quote(str(term))}: {where}, so a prefix is :1 to :{rows * cols}")
        case Whole() | Row() | Neuron() | Prefix():
            return
        case _:
            assert_never(term.position)
