"""The list of layers whose effective receptive fields are measured."""

from dataclasses import dataclass, replace

from atlas.inception.targets import Term
from atlas.plan.reading import Reader

MOST_FEATURES = 64  # of a branch


@dataclass(frozen=True)
class FieldList:
    """Layers of which the effective receptive field is measured, branch by branch."""

    layers: tuple[str, ...]
    features: int  # of each branch
    recipe: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """None: what is measured here has no page of its own."""
        return ()

    def emptied(self) -> "FieldList":
        """The same settings with nothing listed."""
        return replace(self, layers=())


def read_fields(reader: Reader, base: FieldList | None) -> FieldList:
    """Read the table [fields]."""
    return FieldList(
        layers=reader.layers("layers", base.layers if base else None),
        features=reader.table.integer("features", base.features if base else None, least=1, most=MOST_FEATURES),
        recipe=reader.one_size_recipe(base.recipe if base else None),
    )
