"""The list of pairs of features that are asked for together, and of layers whose features see each other's pictures."""

from dataclasses import dataclass, replace

from atlas.errors import TargetError
from atlas.plan.lists.reading import Reader
from atlas.plan.targets import Target, Term, parse

FeaturePair = tuple[Target, Target]
LONGEST_WALK = 11
MOST_FEATURES = 32  # of a matrix


@dataclass(frozen=True)
class InteractionList:
    """Pairs of features, alone and together, and layers of which each picture is shown to each feature."""

    pairs: tuple[FeaturePair, ...]
    walk: int  # pictures on the way from the first feature to the second, both ends included
    recipe: str  # of the pairs
    layers: tuple[str, ...]  # with a matrix
    features: int  # of each matrix, the first of the layer

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names; the features of a matrix have pages anyway."""
        return tuple(term for pair in self.pairs for target in pair for term in target.terms)

    def emptied(self) -> "InteractionList":
        """The same settings with nothing listed."""
        return replace(self, pairs=(), layers=())


def read_interactions(reader: Reader, base: InteractionList | None) -> InteractionList:
    """Read the table [interactions]."""
    table = reader.table
    return InteractionList(
        pairs=_read_pairs(reader, base.pairs if base else None),
        walk=table.integer("walk", base.walk if base else None, least=2, most=LONGEST_WALK),
        recipe=reader.recipe(base.recipe if base else None),
        layers=reader.layers("layers", base.layers if base else None),
        features=table.integer("features", base.features if base else None, least=2, most=MOST_FEATURES),
    )


def _read_pairs(reader: Reader, default: tuple[FeaturePair, ...] | None) -> tuple[FeaturePair, ...]:
    if not reader.table.has("pairs") and default is not None:
        return default
    value = reader.table.raw("pairs")
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        reader.table.fail("pairs", 'must be a list of pairs, such as [["Mixed_6a[199]", "Mixed_6b[201]"]]')
    found = []
    for texts in value:
        first, second = (_read_feature(reader, text) for text in texts)
        if first == second:
            reader.table.fail("pairs", f'"{first}" is paired with itself; name two features')
        found.append((first, second))
    return tuple(dict.fromkeys(found))


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _read_feature(reader: Reader, text: str) -> Target:
    try:
        target = parse(text)
    except TargetError as error:
        reader.table.fail("pairs", str(error))
    if not target.is_feature:
        reader.table.fail("pairs", f'"{target}" is no whole feature, such as "Mixed_6b[201]"')
    return target
