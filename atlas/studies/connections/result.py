"""Which features of the layer before feed a feature most, by the weights alone."""

from dataclasses import dataclass
from functools import partial

from atlas.inception import layers
from atlas.plan.config import Config
from atlas.store.results import ResultSpec
from atlas.studies.connections.settings import Settings

Tie = tuple[int, float]  # a feature, and the share of the fed feature's squared norm that comes from or goes there
Ties = tuple[Tie, ...]  # the largest share first


@dataclass(frozen=True)
class Connections:
    """The strongest connections between a layer and the one before it.

    "Planned" are the features that the atlas has pages for: where it shows few of a layer, the strongest of all are
    mostly not among them.
    """

    layer: str
    before: str
    fed_by: tuple[Ties, ...]  # by feature of the layer: of all features before
    fed_by_planned: dict[int, Ties]  # by planned feature of the layer: of the planned ones before
    feeds: dict[int, Ties]  # by planned feature before: of all features of the layer
    feeds_planned: dict[int, Ties]  # by planned feature before: of the planned ones of the layer


@dataclass(frozen=True)
class Wiring:
    """Which planned features of a layer are wired alike."""

    layer: str
    alike: dict[int, Ties]  # by feature: others of its branch, and the cosine between the kernels that make them


def wired_layers(config: Config) -> tuple[str, ...]:
    """The layers of a configuration whose wiring is shown: all or none."""
    return config.map_layers if config.study(Settings).strongest else ()


def connected_layers(config: Config) -> tuple[str, ...]:
    """The layers of a configuration whose connections to the layer before are shown: all but the first, or none."""
    return tuple(name for name in wired_layers(config) if layers.depth(name))


def wiring_spec(layer: str) -> ResultSpec[Wiring]:
    """The wiring of a layer's planned features."""
    return ResultSpec(f"wiring-{layer}", 1, Wiring, lambda _: (), partial(_settings, of=(layer,)))


def connections_spec(layer: str) -> ResultSpec[Connections]:
    """The connections between a layer, which must not be the first, and the one before it."""
    settings = partial(_settings, of=(layers.layer_before(layer).name, layer))
    return ResultSpec(f"connections-{layer}", 1, Connections, lambda _: (), settings)


def _settings(config: Config, of: tuple[str, ...]) -> tuple[object, ...]:
    """How many are wanted, and the planned features of some layers; none if the last is not wanted."""
    strongest = config.study(Settings).strongest
    return (strongest, *map(config.features_of, of)) if of[-1] in wired_layers(config) else ()
