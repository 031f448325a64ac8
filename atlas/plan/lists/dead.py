"""How features that turn out to have no gradient are rendered once more."""

from dataclasses import dataclass, replace

from atlas.plan.layers import MOST_FEATURES
from atlas.plan.lists.reading import Reader
from atlas.plan.targets import Term


@dataclass(frozen=True)
class DeadList:
    """How features without a gradient are rescued; which ones those are is known only once they are rendered."""

    recipe: str
    features: int  # so many of each layer at most; 0: none, and no page

    @property
    def terms(self) -> tuple[Term, ...]:
        """None: what is rescued has a page anyway."""
        return ()

    def emptied(self) -> "DeadList":
        """The same settings with nothing rescued."""
        return replace(self, features=0)


def read_dead(reader: Reader, base: DeadList | None) -> DeadList:
    """Read the table [dead]."""
    recipe = reader.recipe(base.recipe if base else None)
    if reader.recipes[recipe].rescue_steps is None:
        reader.table.fail("recipe", "must be a recipe with rescue_steps, such as rescued")
    features = reader.table.integer("features", base.features if base else None, least=0, most=MOST_FEATURES)
    return DeadList(recipe, features)
