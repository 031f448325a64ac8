"""The list of features of which two neurons are optimised apart and together."""

from dataclasses import dataclass, replace

from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader


@dataclass(frozen=True)
class InfluenceList:
    """Features of which two neurons are optimised apart and together."""

    targets: tuple[Target, ...]  # whole features
    recipe: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(term for target in self.targets for term in target.terms)

    def emptied(self) -> "InfluenceList":
        """The same settings with nothing listed."""
        return replace(self, targets=())


def read_influence(reader: Reader, base: InfluenceList | None) -> InfluenceList:
    """Read the table [influence]."""
    chosen = reader.features("targets", base.targets if base else None)
    return InfluenceList(chosen, reader.one_size_recipe(base.recipe if base else None))
