"""The list of features that are rendered by each metric."""

from dataclasses import dataclass, replace

from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader


@dataclass(frozen=True)
class MetricList:
    """Features that are rendered by each metric, all else being equal."""

    targets: tuple[Target, ...]  # whole features
    recipe: str  # whose metric is exchanged

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(term for target in self.targets for term in target.terms)

    def emptied(self) -> "MetricList":
        """The same settings with nothing listed."""
        return replace(self, targets=())


def read_metrics(reader: Reader, base: MetricList | None) -> MetricList:
    """Read the table [metrics]."""
    chosen = reader.features("targets", base.targets if base else None)
    return MetricList(chosen, reader.recipe(base.recipe if base else None))
