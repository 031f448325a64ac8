"""How features whose picture shows nothing are rendered once more."""

from dataclasses import dataclass

from atlas.inception.layers import MOST_FEATURES
from atlas.inception.targets import Term
from atlas.plan.reading import Reader


@dataclass(frozen=True)
class DeadList:
    """How features are rescued; which ones need it is known only once they are rendered."""

    recipe: str | None  # None: the features' own, with a rescue
    features: int  # at most so many of each layer; 0: none, and no page

    @property
    def terms(self) -> tuple[Term, ...]:
        """None: what is rescued has a page anyway."""
        return ()

    def emptied(self) -> "DeadList":
        """The same: a rescue belongs to the picture of a feature, and is not shown beside it alone."""
        return self


def read_dead(reader: Reader, base: DeadList | None) -> DeadList:
    """Read the table [dead]."""
    recipe = base.recipe if base else None
    if reader.table.has("recipe"):
        recipe = reader.recipe(None)
        if reader.recipes[recipe].rescue_steps is None:
            reader.table.fail("recipe", "must be a recipe with rescue_steps, such as rescued")
    default = base.features if base else MOST_FEATURES
    if reader.table.has("features") and reader.table.raw("features") == "all":
        return DeadList(recipe, MOST_FEATURES)
    return DeadList(recipe, reader.table.integer("features", default, least=0, most=MOST_FEATURES))
