"""What an atlas shows beside its features: tables of a configuration → frozen dataclasses, a room for each list."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from atlas.inception.targets import Term
from atlas.plan.reading import Reader
from atlas.plan.recipes import Recipe
from atlas.plan.tables import Table
from atlas.studies.compare.settings import CompareList, read_compare
from atlas.studies.connections.settings import ConnectionList, read_connections
from atlas.studies.dead.settings import DeadList, read_dead
from atlas.studies.dreams.settings import DreamList, read_dream
from atlas.studies.examples.settings import ExampleList, read_examples
from atlas.studies.fields.settings import FieldList, read_fields
from atlas.studies.influence.settings import InfluenceList, read_influence
from atlas.studies.interactions.settings import InteractionList, read_interactions
from atlas.studies.metrics.settings import MetricList, read_metrics
from atlas.studies.neurons.settings import NeuronList, read_neurons
from atlas.studies.palette.settings import PaletteList, read_palette
from atlas.studies.raster.settings import RasterList, read_raster

List = TypeVar("List")


@dataclasses.dataclass(frozen=True)
class Lists:
    """All lists of a configuration, by the names of their tables."""

    raster: RasterList
    neurons: NeuronList
    fields: FieldList
    influence: InfluenceList
    dream: DreamList
    palette: PaletteList
    connections: ConnectionList
    compare: CompareList
    metrics: MetricList
    interactions: InteractionList
    examples: ExampleList
    dead: DeadList

    @property
    def terms(self) -> tuple[Term, ...]:
        """Every term that some list names, in the order of the lists; each feature among them has a page."""
        return tuple(term for field in dataclasses.fields(self) for term in getattr(self, field.name).terms)

    def emptied(self) -> "Lists":
        """The same settings with nothing listed, for an atlas of features alone."""
        return Lists(**{field.name: getattr(self, field.name).emptied() for field in dataclasses.fields(self)})


def read_lists(config: Table, recipes: Mapping[str, Recipe], folder: Path, base: Lists | None) -> Lists:
    """Read the lists of a configuration.

    Args:
        config: the whole configuration.
        recipes: by name, those of the base included.
        folder: to which paths are relative.
        base: what the configuration extends; what is left out is taken from there.

    Raises:
        ConfigError: a key or a value is wrong.
    """

    def read(name: str, how: Callable[[Reader, List | None], List]) -> List:
        table = config.table(name)
        found = how(Reader(table, recipes, folder), getattr(base, name, None))
        table.done()
        return found

    return Lists(
        raster=read("raster", read_raster),
        neurons=read("neurons", read_neurons),
        fields=read("fields", read_fields),
        influence=read("influence", read_influence),
        dream=read("dream", read_dream),
        palette=read("palette", read_palette),
        connections=read("connections", read_connections),
        compare=read("compare", read_compare),
        metrics=read("metrics", read_metrics),
        interactions=read("interactions", read_interactions),
        examples=read("examples", read_examples),
        dead=read("dead", read_dead),
    )
