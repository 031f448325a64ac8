"""Reading of lists: a TOML table and the list that it extends → targets, recipes and layers, checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.common.errors import TargetError
from atlas.inception import layers, targets
from atlas.inception.targets import Target
from atlas.plan.recipes import Recipe
from atlas.plan.tables import Table


@dataclass(frozen=True)
class Reader:
    """A table of a configuration, the recipes that it may name, and the folder to which its paths are relative."""

    table: Table
    recipes: Mapping[str, Recipe]
    folder: Path

    def targets(self, key: str, default: Iterable[Target] | None) -> tuple[Target, ...]:
        """A list of targets in the notation, each once; the default is what the base lists."""
        texts = self.table.texts(key, None if default is None else [str(target) for target in default])
        found = []
        for text in texts:
            try:
                found.append(targets.parse(text))
            except TargetError as error:
                self.table.fail(key, str(error))
        return tuple(dict.fromkeys(found))

    def features(self, key: str, default: Iterable[Target] | None) -> tuple[Target, ...]:
        """A list of whole features."""
        chosen = self.targets(key, default)
        for target in chosen:
            if not target.is_feature:
                self.table.fail(key, f'"{target}" is no whole feature, such as "Mixed_6b[654]"')
        return chosen

    def layers(self, key: str, default: Iterable[str] | None) -> tuple[str, ...]:
        """A list of names of layers."""
        names = tuple(dict.fromkeys(self.table.texts(key, None if default is None else list(default))))
        for name in names:
            try:
                layers.get_layer(name)
            except TargetError as error:
                self.table.fail(key, str(error))
        return names

    def recipe(self, default: str | None, key: str = "recipe") -> str:
        """The name of a recipe."""
        return self.table.choice(key, self.recipes, default)

    def one_size_recipe(self, default: str | None, key: str = "recipe") -> str:
        """The name of a recipe of one size, at which a neuron's place in the map is a place in the picture."""
        name = self.recipe(default, key)
        sizes = {octave.size for octave in self.recipes[name].octaves}
        if len(sizes) > 1:
            over = ", ".join(str(size) for size in sorted(sizes))
            self.table.fail(key, f"must stay at one size, such as raster; this one goes over {over} px")
        if self.recipes[name].shrinks:
            self.table.fail(key, "must stay at one size, such as raster; this one lets the network see smaller images")
        return name

    def optional(self, key: str, default: int | None, *, least: int, most: int) -> int | None:
        """A whole number that may be left open."""
        return self.table.integer(key, least=least, most=most) if self.table.has(key) else default
