"""The list of recipes by which the colours of the first layer are looked at."""

from dataclasses import dataclass, replace

from atlas.common.errors import did_you_mean, shorten
from atlas.inception.layers import get_layer
from atlas.inception.targets import Term
from atlas.plan.reading import Reader

LAYER = "Conv2d_1a_3x3"  # the one layer whose features are linear in the image, but for their ReLU


@dataclass(frozen=True)
class PaletteList:
    """Recipes by which the first features of Conv2d_1a_3x3 are rendered and their colours measured."""

    recipes: tuple[str, ...]
    features: int  # the first so many

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(Term(LAYER, feature) for feature in range(self.features)) if self.recipes else ()

    def emptied(self) -> "PaletteList":
        """The same settings with nothing listed."""
        return replace(self, recipes=())


def read_palette(reader: Reader, base: PaletteList | None) -> PaletteList:
    """Read the table [palette]."""
    names = reader.table.texts("recipes", list(base.recipes) if base else None)
    for name in names:
        if name not in reader.recipes:
            reader.table.fail("recipes", f'"{shorten(name)}": no such recipe; {did_you_mean(name, reader.recipes)}')
    most = get_layer(LAYER).features
    features = reader.table.integer("features", base.features if base else None, least=1, most=most)
    return PaletteList(tuple(dict.fromkeys(names)), features)
