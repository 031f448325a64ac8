"""The list of single neurons."""

from dataclasses import dataclass, replace

from atlas.common.errors import TargetError
from atlas.inception.targets import Neuron, Target, Term
from atlas.plan.reading import Reader


@dataclass(frozen=True)
class NeuronList:
    """Single neurons with a page of their own, and features shown beside one of their rows and neurons."""

    targets: tuple[Target, ...]  # single neurons
    beside: tuple[Target, ...]  # whole features
    recipe: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(term for target in (*self.targets, *self.beside) for term in target.terms)

    def emptied(self) -> "NeuronList":
        """The same settings with nothing listed."""
        return replace(self, targets=(), beside=())


def read_neurons(reader: Reader, base: NeuronList | None) -> NeuronList:
    """Read the table [neurons]."""
    recipe = reader.one_size_recipe(base.recipe if base else None)
    chosen = reader.targets("targets", base.targets if base else None)
    for target in chosen:
        if len(target.terms) != 1 or not isinstance(target.terms[0].position, Neuron):
            reader.table.fail("targets", f'"{target}" is no single neuron, such as "Mixed_6b[415, 9, 9]"')
        try:
            target.check_positions(reader.recipes[recipe].first_size)
        except TargetError as error:
            reader.table.fail("targets", str(error))
    return NeuronList(chosen, reader.features("beside", base.beside if base else None), recipe)
