"""The list of features that are rendered by several recipes, and of how many others the plainest is shown too."""

from dataclasses import dataclass, replace

from atlas.common.errors import did_you_mean, shorten
from atlas.inception.layers import MOST_FEATURES
from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader

FEWEST_RECIPES = 2


@dataclass(frozen=True)
class CompareList:
    """Features by several recipes side by side, and the first features of each layer raw beside their own picture."""

    targets: tuple[Target, ...]  # whole features
    recipes: tuple[str, ...]  # the first is raw descent; the last is what the others are held against
    raw_features: int  # so many of each layer are rendered raw too

    @property
    def raw(self) -> str:
        """The recipe of raw descent."""
        return self.recipes[0]

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names; the first features of a layer have pages anyway."""
        return tuple(term for target in self.targets for term in target.terms)

    def emptied(self) -> "CompareList":
        """The same settings with nothing listed."""
        return replace(self, targets=(), raw_features=0)


def read_compare(reader: Reader, base: CompareList | None) -> CompareList:
    """Read the table [compare]."""
    return CompareList(
        targets=reader.features("targets", base.targets if base else None),
        recipes=_read_recipes(reader, base.recipes if base else None),
        raw_features=reader.table.integer(
            "raw_features", base.raw_features if base else None, least=0, most=MOST_FEATURES
        ),
    )


def _read_recipes(reader: Reader, default: tuple[str, ...] | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(reader.table.texts("recipes", None if default is None else list(default))))
    for name in names:
        if name not in reader.recipes:
            reader.table.fail("recipes", f'"{shorten(name)}": no such recipe; {did_you_mean(name, reader.recipes)}')
    if len(names) < FEWEST_RECIPES:
        reader.table.fail("recipes", "must name at least two: raw descent first, and last what is held against it")
    return names
