"""Settings of an atlas: a TOML file or preset → frozen `Config`; unknown keys and wrong types are errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast
from urllib.parse import urlsplit

from atlas.common.errors import ConfigError, did_you_mean, shorten
from atlas.common.paths import is_there
from atlas.inception import layers
from atlas.plan.features import Features, parse_features
from atlas.plan.lists import Lists, read_lists
from atlas.plan.recipes import GRADIENTS, INPUT_MAPS, INPUTS, METRICS, Gradient, Input, InputMap, Metric, Octave, Recipe
from atlas.plan.tables import Table, read_path

PRESETS = ("article", "demo")
BUILT_IN_WEIGHTS = ("imagenet", "demo")
LARGEST_SIZE = 4096  # pixels: more is a slip, and would ask for hundreds of gigabytes
LARGEST_SEED = 2**63 - 1
MOST_STEPS = 1_000_000  # of an octave
_FOLDER = Path(__file__).parent / "presets"
_NOT_IN_URLS = frozenset(' "<>\\^`{|}')
_RECIPE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Config:
    """What an atlas is made of; every field is in the `article` preset, and files and flags replace some."""

    title: str
    weights: str  # "imagenet", "demo" or the path of a file
    weights_input: InputMap | None  # the map that they were trained with; None: as is known of them
    seed: int
    store: Path
    site: Path
    base_url: str  # where the site will be published, ends in "/"; "" if unknown
    layers: tuple[str, ...]  # in the network's order
    features: Features
    recipe: str  # of the features
    recipes: Mapping[str, Recipe]
    recipe_is_chosen: bool  # whether a file or flag, and not the article's preset, named the recipe
    lists: Lists  # what is shown beside the features; what names a layer that is left out is left out too

    def features_of(self, layer: str) -> tuple[int, ...]:
        """The features of a layer that have a page, ascending: the chosen ones, and those that a list names."""
        if layer not in self.layers:
            return ()
        named = {term.feature for term in self.lists.terms if term.layer == layer and term.feature is not None}
        return tuple(sorted({*self.features.of(layer), *named}))

    def get_recipe(self, name: str, where: str = "") -> Recipe:
        """A recipe by name.

        Args:
            name: of the recipe.
            where: what to begin the message with, such as "--recipe ".

        Raises:
            ConfigError: no such recipe; names the closest.
        """
        if name not in self.recipes:
            raise ConfigError(f'{where}"{shorten(name)}": no such recipe; {did_you_mean(name, self.recipes)}')
        return self.recipes[name]


def load_config(name: str = "article") -> Config:
    """Read a configuration.

    Args:
        name: a preset ("article", "demo") or the path of a TOML file.

    Raises:
        ConfigError: the file, one of its keys or one of its values is wrong.
    """
    if name in PRESETS:
        return _preset(name)
    file = Path(name)
    if not is_there(file):
        raise ConfigError(f'configuration "{name}": no such file, and the presets are {", ".join(PRESETS)}')
    return _extend(Table.load(file), file.parent)


def override(
    config: Config,
    *,
    layer_names: str | None = None,
    features: str | None = None,
    recipe: str | None = None,
    weights: str | None = None,
    weights_input: str | None = None,
    seed: int | None = None,
    store: Path | None = None,
    site: Path | None = None,
    base_url: str | None = None,
    features_only: bool = False,
) -> Config:
    """The configuration with the flags that were given put in; each is text as on the command line.

    Raises:
        ConfigError: a flag's value is wrong.
    """
    if layer_names is not None:
        config = replace(config, layers=_layer_names(layer_names))
    if features is not None:
        config = replace(config, features=parse_features(features, "--features"))
    if recipe is not None:
        config = replace(config, recipe=config.get_recipe(recipe, "--recipe ").name, recipe_is_chosen=True)
    if seed is not None:
        config = replace(config, seed=seed)
    if weights is not None:
        config = replace(config, weights=weights, weights_input=None)  # what a file says is of its own weights
    if weights_input is not None:
        config = replace(config, weights_input=_input_map(weights_input))
    if base_url is not None:
        config = replace(config, base_url=_base_url(base_url, "--base-url"))
    if features_only:
        config = replace(config, lists=config.lists.emptied())
    config = replace(config, store=store or config.store, site=site or config.site)
    if layer_names is not None or features is not None:
        _check_features(config, "--features" if features is not None else "--layers")
    return config


def _preset(name: str) -> Config:
    return _extend(Table.load(_FOLDER / f"{name}.toml", name=f"preset {name}"), Path(), is_article=name == "article")


def _extend(table: Table, folder: Path, *, is_article: bool = False) -> Config:
    """The configuration that a file makes of the preset which it extends."""
    base = None if is_article else _preset(table.choice("extends", PRESETS, "article"))
    atlas, features = table.table("atlas"), table.table("features")
    recipes = {**(base.recipes if base else {}), **_read_recipes(table.table("recipes"))}
    chosen = base is not None and (features.has("recipe") or base.recipe_is_chosen)
    lists = read_lists(table, recipes, folder, base.lists if base else None)
    table.done()
    config = Config(
        title=_read_title(atlas, base),
        weights=_read_weights(atlas, folder, base),
        weights_input=_read_weights_input(atlas, base),
        seed=atlas.integer("seed", base.seed if base else None, least=0, most=LARGEST_SEED),
        store=_read_path(atlas, "store", folder, base.store if base else None),
        site=_read_path(atlas, "site", folder, base.site if base else None),
        base_url=_read_base_url(atlas, base),
        layers=_read_layers(features, base),
        features=_read_features(features, base),
        recipe=features.choice("recipe", recipes, base.recipe if base else None),
        recipes=MappingProxyType(recipes),
        recipe_is_chosen=chosen,
        lists=lists.emptied() if features.boolean("only", False) else lists,
    )
    atlas.done()
    features.done()
    if features.has("count") or features.has("layers"):
        _check_features(config, f"{table.name}: features.count")
    return config


def _read_title(table: Table, base: Config | None) -> str:
    title = table.text("title", base.title if base else None)
    if not title.strip():
        table.fail("title", "must not be empty")
    return title


def _read_weights(table: Table, folder: Path, base: Config | None) -> str:
    if not table.has("weights") and base:
        return base.weights
    weights = table.text("weights")
    if not weights:
        table.fail("weights", f"must be {', '.join(BUILT_IN_WEIGHTS)} or a file")
    return weights if weights in BUILT_IN_WEIGHTS else str(_path(table, "weights", folder))


def _read_weights_input(table: Table, base: Config | None) -> InputMap | None:
    if table.has("weights_input"):
        return cast(InputMap, table.choice("weights_input", INPUT_MAPS))
    return None if base is None or table.has("weights") else base.weights_input


def _input_map(text: str) -> InputMap:
    if text not in INPUT_MAPS:
        raise ConfigError(f'--weights-input "{shorten(text)}": allowed: {", ".join(INPUT_MAPS)}')
    return text


def _read_path(table: Table, key: str, folder: Path, default: Path | None) -> Path:
    if not table.has(key) and default:
        return default
    return _path(table, key, folder)


def _path(table: Table, key: str, folder: Path) -> Path:
    try:
        return read_path(table.text(key), folder)
    except ConfigError as error:
        table.fail(key, f"must be a path: {error}")


def _read_base_url(table: Table, base: Config | None) -> str:
    if not table.has("base_url") and base:
        return base.base_url
    return _base_url(table.text("base_url"), f"{table.name}: atlas.base_url")


def _base_url(text: str, where: str) -> str:
    if not text:
        return ""
    if fault := _url_fault(text):
        shown = shorten("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text))
        raise ConfigError(f'{where} = "{shown}": {fault}; must be like "https://name.github.io/atlas/"')
    return text if text.endswith("/") else text + "/"


def _url_fault(text: str) -> str:
    """What keeps a text from being the address of a folder, to which the names of pages are added; "" if nothing."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError as error:
        return shorten(ascii(str(error))[1:-1])
    if odd := next((letter for letter in text if letter in _NOT_IN_URLS or not letter.isprintable()), None):
        return f"no address holds {odd!a}, which is written %{odd.encode(errors='replace').hex('%').upper()} in it"
    if parts.scheme not in ("http", "https"):
        return "begins neither with https:// nor with http://"
    if not host:
        return "names no host"
    if "@" in parts.netloc:
        return "holds a user name, which would be published"
    if "?" in text or "#" in text:
        return "holds ? or #, after which no path can follow"
    return "" if not re.search("%(?![0-9A-Fa-f]{2})", text) else "holds a % without two hexadecimal digits after it"


def _read_layers(table: Table, base: Config | None) -> tuple[str, ...]:
    if not table.has("layers") and base:
        return base.layers
    value = table.raw("layers")
    if value == "all":
        return tuple(layer.name for layer in layers.LAYERS)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        table.fail("layers", 'must be "all" or a list of layer names')
    for name in value:
        if not any(layer.name == name for layer in layers.LAYERS):
            table.fail("layers", f'"{shorten(name)}": {did_you_mean(name, [layer.name for layer in layers.LAYERS])}')
    return _in_order(value)


def _layer_names(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(layer.name for layer in layers.LAYERS)
    if not names:
        raise ConfigError("--layers is empty; name layers, separated by commas, or say all")
    known = [layer.name for layer in layers.LAYERS]
    for name in names:
        if name not in known:
            hint = "separate layers by commas" if " " in name else did_you_mean(name, known)
            raise ConfigError(f'--layers "{name}": no such layer; {hint}')
    return _in_order(names)


def _in_order(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names), key=layers.depth))


def _read_features(table: Table, base: Config | None) -> Features:
    if not table.has("count") and base:
        return base.features
    where = f"{table.name}: features.count"
    value = table.raw("count")
    if isinstance(value, int | str) and not isinstance(value, bool):
        return parse_features(str(value), where)
    is_list = isinstance(value, list) and value and all(type(item) in (int, str) for item in value)
    if not is_list:
        table.fail("count", 'must be a number, "all", or a list such as [0, "5-9", 654]')
    return parse_features(",".join(str(item) for item in value) + ",", where)


def _check_features(config: Config, where: str) -> None:
    """A feature that no layer of the configuration has is a slip; one that some layers lack is left out there."""
    widest = max((layers.get_layer(name) for name in config.layers), key=lambda layer: layer.features)
    too_high = config.features.last_named >= widest.features
    if too_high:
        raise ConfigError(
            f"{where}: no layer here has a feature {config.features.last_named}; "
            f"the widest, {widest.name}, has 0 to {widest.features - 1}"
        )


def _read_recipes(table: Table) -> dict[str, Recipe]:
    return {name: _read_recipe(name, table, table.table(name)) for name in list(table.keys())}


def _read_recipe(name: str, parent: Table, table: Table) -> Recipe:
    if not _RECIPE_NAME.fullmatch(name):
        parent.fail(name, "a recipe's name is made of a-z, 0-9, _ and -, at most 40 of them")
    recipe = Recipe(
        name=name,
        octaves=tuple(_read_octave(octave) for octave in table.tables("octaves")),
        metric=cast(Metric, table.choice("metric", METRICS, "l1")),
        constant=table.number("constant", 200.0),
        gradient=cast(Gradient, table.choice("gradient", GRADIENTS, "sum")),
        resize=table.pair("resize", above=0) if table.has("resize") else None,
        rescue_steps=table.integer("rescue_steps", least=1, most=MOST_STEPS) if table.has("rescue_steps") else None,
        input=cast(Input, table.choice("input", INPUTS, "raw")),
    )
    table.done()
    _check_resize(table, recipe)
    return recipe


def _check_resize(table: Table, recipe: Recipe) -> None:
    if recipe.resize is None:
        return
    if recipe.resize[0] > recipe.resize[1]:
        table.fail("resize", "must be two factors [least, largest], the least first")
    least, largest = recipe.sizes_seen
    if least < layers.MIN_SIZE or largest > LARGEST_SIZE:
        table.fail(
            "resize",
            f"the network would see images of {least} to {largest} px, "
            f"and the sizes allowed are {layers.MIN_SIZE} to {LARGEST_SIZE}",
        )


def _read_octave(table: Table) -> Octave:
    octave = Octave(
        size=table.integer("size", least=layers.MIN_SIZE, most=LARGEST_SIZE),
        steps=table.integer("steps", least=1, most=MOST_STEPS),
        lr=table.pair("lr"),
        sigma=table.pair("sigma", above=0) if table.has("sigma") else None,
    )
    table.done()
    return octave
