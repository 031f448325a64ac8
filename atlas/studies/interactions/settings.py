"""The list of pairs of targets that are asked for together, and of layers whose features see each other's pictures."""

from dataclasses import dataclass, replace

from atlas.common.errors import TargetError
from atlas.inception.targets import Target, Term, parse
from atlas.plan.reading import Reader
from atlas.plan.recipes import Recipe

TargetPair = tuple[Target, Target]
LONGEST_WALK = 11
MOST_FEATURES = 32  # of a matrix


@dataclass(frozen=True)
class InteractionList:
    """Pairs of targets, alone and together, and layers of which each picture is shown to each feature."""

    pairs: tuple[TargetPair, ...]
    walk: int  # pictures on the way from the first target to the second, both ends included
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
    recipe = reader.recipe(base.recipe if base else None)
    return InteractionList(
        walk=table.integer("walk", base.walk if base else None, least=2, most=LONGEST_WALK),
        recipe=recipe,
        layers=reader.layers("layers", base.layers if base else None),
        features=table.integer("features", base.features if base else None, least=2, most=MOST_FEATURES),
        pairs=_read_pairs(reader, base.pairs if base else None, reader.recipes[recipe]),
    )


def _read_pairs(reader: Reader, default: tuple[TargetPair, ...] | None, recipe: Recipe) -> tuple[TargetPair, ...]:
    if not reader.table.has("pairs") and default is not None:
        return tuple(pair for pair in default if all(_why_not(target, recipe) is None for target in pair))
    value = reader.table.raw("pairs")
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        reader.table.fail("pairs", 'must be a list of pairs, such as [["Mixed_6a[199]", "Mixed_6b[201]"]]')
    found = []
    for texts in value:
        first, second = (_read_one(reader, text, recipe) for text in texts)
        if first == second:
            reader.table.fail("pairs", f'"{first}" is paired with itself; name two targets')
        found.append((first, second))
    return tuple(dict.fromkeys(found))


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _read_one(reader: Reader, text: str, recipe: Recipe) -> Target:
    """A target of one term: a feature, some of its neurons, or a whole layer."""
    try:
        target = parse(text)
    except TargetError as error:
        reader.table.fail("pairs", str(error))
    if len(target.terms) > 1 or target.terms[0].coefficient != 1:
        reader.table.fail("pairs", f'"{target}" is a sum or weighted; name one such as "Mixed_6b[201]"')
    if why := _why_not(target, recipe):
        reader.table.fail("pairs", why)
    return target


def _why_not(target: Target, recipe: Recipe) -> str | None:
    """Why a target cannot be rendered by a recipe; None if it can."""
    try:
        target.check_positions(recipe.first_size)
    except TargetError as error:
        return str(error)
    if target.has_positions and recipe.shrinks:
        return f'"{target}" names positions, which recipe "{recipe.name}" would lose at a smaller size'
    return None
