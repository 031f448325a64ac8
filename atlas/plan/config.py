"""Settings of an atlas: a TOML file or preset → frozen `Config`, or an error that names all that is wrong in it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

from pydantic import PlainValidator

from atlas.common.errors import ConfigError, did_you_mean, shorten
from atlas.common.paths import is_there
from atlas.inception import layers
from atlas.inception.targets import Target, Term
from atlas.plan.features import Features, parse_features
from atlas.plan.recipes import InputMap, Recipe
from atlas.plan.settings import (
    BaseUrl,
    Bytes,
    Context,
    FilePath,
    Flag,
    FolderPath,
    Info,
    Layers,
    Reader,
    RecipeName,
    StudySettings,
    Table,
    Title,
    Whole,
    read_path,
    read_text,
    values_of,
)
from atlas.plan.toml_files import read_toml

PRESETS = ("article", "demo", "demo-imagenet")
BUILT_IN_WEIGHTS = ("imagenet", "demo")
LARGEST_SEED = 2**63 - 1
_FOLDER = Path(__file__).parent / "presets"
# Whoever names one recipe gets one: what a key of [features] takes from the preset no more.
_ALONE = {"recipe": ("face", "large", "large_features"), "face": ("large", "large_features")}
_RECIPE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


Tables = Mapping[str, type[StudySettings]]  # the settings of studies, by the names of their tables
Settings = TypeVar("Settings", bound=StudySettings)


def _read_weights(value: object, info: Info) -> str:
    text = read_text(value)
    if not text:
        raise ConfigError(f"must be {', '.join(BUILT_IN_WEIGHTS)} or a file")
    return text if text in BUILT_IN_WEIGHTS else str(read_path(text, info.context.folder))


def _read_count(value: object) -> Features:
    if isinstance(value, Features):
        return value
    if isinstance(value, int | str) and not isinstance(value, bool):
        return parse_features(str(value))
    if not (isinstance(value, list) and value and all(type(item) in (int, str) for item in value)):
        raise ConfigError('must be a number, "all", or a list such as [0, "5-9", 654]')
    return parse_features(",".join(map(str, value)) + ",")


@dataclass(frozen=True, kw_only=True)
class AtlasTable(Table):
    """Whose features are shown, and where everything is kept.

    Attributes:
        title: Title of the site.
        license: Licence of the pictures, as a text for the foot of each page and for features.json. Default: none is
            stated.
        weights: "imagenet", "demo", or the path of a file: a state dict of torchvision’s InceptionV3.
        weights_input: What the weights were trained on, for a picture x in [0, 1]: "x" or "2x-1". Default: as is known
            of them, and "2x-1" for a file.
        class_names: A text file with the name of a class on each line. Default: as is known of the weights.
        seed: Seed of the start noise.
        store: Folder of the renderings.
        site: Folder of the site.
        base_url: Address of the published site, such as "https://you.github.io/atlas/"; with it the site has a
            sitemap, a 404 page and link previews. "": none.
    """

    title: Title
    license: Title | None = None
    weights: Annotated[str, PlainValidator(_read_weights)]
    weights_input: InputMap | None = None
    class_names: FilePath | None = None
    seed: Annotated[int, Whole(0, LARGEST_SEED)]
    store: FolderPath
    site: FolderPath
    base_url: BaseUrl


@dataclass(frozen=True, kw_only=True)
class FeaturesTable(Table):
    """Which features are rendered, and by which recipes.

    Attributes:
        layers: "all", or a list of layers, such as ["Mixed_6b", "fc"]; weights without a classifier have no fc.
        count: Features of each layer: the first so many, "all", or a list such as [0, "5-9", 654]; a layer that lacks
            one goes without.
        recipe: Recipe of the article’s pages, and of all features if there is no `face`.
        face: Recipe of the features, as mosaics and their pages show them first. Default: `recipe`, if a file names
            that.
        large: Recipe of the first features of each layer, in place of `face`. Default: none, if a file names `recipe`
            or `face`.
        large_features: So many features of each layer are rendered by `large`.
        only: Whether videos and studies are left out.
    """

    layers: Layers
    count: Annotated[Features, PlainValidator(_read_count)]
    recipe: RecipeName
    face: RecipeName | None = None
    large: RecipeName | None = None
    large_features: Annotated[int, Whole(0, layers.MOST_FEATURES)] = 0
    only: Flag = False


@dataclass(frozen=True, kw_only=True)
class SiteTable(Table):
    """How large the site may be.

    Attributes:
        budget: Size of the whole site as one archive at most, such as "1GB" or "800MB": what is missed least is made
            smaller or left out, and pages say so. "": no limit.
    """

    budget: Bytes


@dataclass(frozen=True, kw_only=True)
class Config(AtlasTable, FeaturesTable, SiteTable):
    """What an atlas is made of: every key is in the `article` preset, and files and options replace some."""

    recipes: Mapping[str, Recipe]
    recipe_is_chosen: bool  # whether a file or option, and not the article's preset, named the recipe
    studies: Mapping[type[StudySettings], StudySettings]  # may name layers left out, whose jobs are left out too
    classes: int = 0  # of the weights, where `fc` is wanted; set by `with_classes`
    named: tuple[Term, ...] = ()  # features that results of studies name

    def study(self, kind: type[Settings]) -> Settings:
        """The settings of a study, by their type."""
        return cast(Settings, self.studies[kind])

    def with_study(self, *changed: StudySettings) -> "Config":
        """The configuration with these settings in place of those of the same types."""
        studies = dict(self.studies) | {type(settings): settings for settings in changed}
        return replace(self, studies=MappingProxyType(studies))

    def only_features(self) -> "Config":
        """The configuration without what studies show beside the features."""
        return self.with_study(*(settings.emptied() for settings in self.studies.values()))

    def with_classes(self, count: int) -> "Config":
        """The configuration for weights with so many classes; 0: none are known, and `fc` is left out."""
        is_wanted = count and layers.FC in self.layers
        return replace(self, classes=count if is_wanted else 0, layers=self.layers if is_wanted else self.map_layers)

    def check_classes(self, count: int) -> None:
        """Check that weights have what is wanted of their classifier.

        Args:
            count: of their classes, 0 if they have no classifier.

        Raises:
            TargetError: a study names a class that the weights do not have.
            ConfigError: no other layer is wanted, and they have none of the chosen classes.
        """
        for term in self.terms:
            Target((term,)).check_classes(count, self.weights)
        if not count and not self.map_layers:
            raise ConfigError(f"layers {layers.FC}: the weights {self.weights} have no {layers.FC} layer; name others")
        if not self.map_layers and not self.count.among(count):
            raise ConfigError(
                f"the weights {self.weights} have none of these features: their classes are 0 to {count - 1}"
            )

    @property
    def map_layers(self) -> tuple[str, ...]:
        """The layers that have feature maps: all but the classifier."""
        return tuple(name for name in self.layers if name != layers.FC)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Every term that some study names; each feature among them has a page."""
        return tuple(term for settings in self.studies.values() for term in settings.terms)

    def within(self, targets: Iterable[Target]) -> list[Target]:
        """Those of some targets all of whose layers the configuration has."""
        return [target for target in targets if all(term.layer in self.layers for term in target.terms)]

    def features_of(self, layer: str) -> tuple[int, ...]:
        """The features of a layer that have a page, ascending: the chosen ones, and those that studies name."""
        named = {term.feature for term in self.named if term.layer == layer and term.feature is not None}
        return tuple(sorted({*self._asked(layer), *named})) if layer in self.layers else ()

    def first_features(self, layer: str, count: int) -> tuple[int, ...]:
        """The first so many of a layer, of those that the configuration itself chooses or names."""
        return self._asked(layer)[:count]

    def _asked(self, layer: str) -> tuple[int, ...]:
        """The features of a layer that the configuration itself chooses or names, ascending."""
        if layer not in self.layers:
            return ()
        named = {term.feature for term in self.terms if term.layer == layer and term.feature is not None}
        chosen = self.count.among(self.classes) if layer == layers.FC else self.count.of(layer)
        return tuple(sorted({*chosen, *named}))

    @property
    def face_recipe(self) -> Recipe:
        """The recipe of the features, but for the first ones of each layer if `large` is set."""
        return self.get_recipe(self.face or self.recipe)

    def recipes_of(self, layer: str) -> tuple[Recipe, ...]:
        """The recipe of each of the features of a layer, as `features_of` lists them."""
        face = self.face_recipe
        large = self.get_recipe(self.large) if self.large else face
        first = self.first_features(layer, self.large_features)
        return tuple(large if feature in first else face for feature in self.features_of(layer))

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


def load_config(name: str, tables: Tables) -> Config:
    """Read a configuration.

    Args:
        name: a preset, one of `PRESETS`, or the path of a TOML file.
        tables: the settings of studies.

    Raises:
        ConfigError: the file, some of its keys or some of its values are wrong.
    """
    if name in PRESETS:
        return _load_preset(name, tuple(tables.items()))
    file = Path(name)
    if not is_there(file):
        raise ConfigError(f'configuration "{name}": no such file, and the presets are {", ".join(PRESETS)}')
    return _extend(read_toml(file, name), name, file.parent, tables)


def override(
    config: Config,
    *,
    layers: str | None = None,
    features: str | None = None,
    recipe: str | None = None,
    weights: str | None = None,
    weights_input: str | None = None,
    seed: int | None = None,
    store: Path | None = None,
    site: Path | None = None,
    base_url: str | None = None,
    budget: str | None = None,
    features_only: bool = False,
) -> Config:
    """The configuration with the options that were given put in; each is text as on the command line.

    Raises:
        ConfigError: the value of an option is wrong.
    """
    reader = Reader("", Context(Path(), dict(config.recipes)))
    given = (
        ("layers", "--layers", None if layers is None else _split(layers)),
        ("count", "--features", features),
        ("recipe", "--recipe", recipe),
        ("weights_input", "--weights-input", weights_input),
        ("seed", "--seed", seed),
        ("base_url", "--base-url", base_url),
        ("budget", "--budget", budget),
    )
    read = {key: reader.option(Config, key, option, value) for key, option, value in given if value is not None}
    reader.finish()
    if recipe is not None:
        read |= {"recipe_is_chosen": True, "face": None, "large": None}
    if weights is not None:
        # a file's weights_input and class_names are those of its own weights
        read = {"weights": weights, "weights_input": None, "class_names": None, **read}
    config = replace(config, **read, store=store or config.store, site=site or config.site)
    if layers is not None or features is not None:
        _check_features(reader, config, "--layers" if features is None else "--features")
    reader.finish()
    return config.only_features() if features_only else config


def check_recipe(recipe: Recipe) -> Recipe:
    """A recipe that was made in Python, checked as those of files are; lists and dicts in it count as in a file.

    Raises:
        ConfigError: names each value that is wrong by its key.
    """
    reader = Reader("", Context(Path(), {}))
    table = _as_table(recipe)
    found = _read_recipe(reader, str(table.pop("name")), table)
    reader.finish()
    assert found
    return found


def _as_table(value: Any) -> Any:
    """Dataclasses, however nested, as a file has them."""
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        return {key: _as_table(one) for key, one in given.items() if one is not None}
    return [_as_table(one) for one in value] if isinstance(value, list | tuple) else value


def article_recipes() -> Mapping[str, Recipe]:
    """The recipes of the article's preset."""
    data = _read_preset("article")
    return _known(_read_recipes(Reader("preset article", Context(Path(), {})), data["recipes"]))


@cache
def _load_preset(name: str, tables: tuple[tuple[str, type[StudySettings]], ...]) -> Config:
    return _extend(_read_preset(name), f"preset {name}", Path(), dict(tables), is_article=name == "article")


def _read_preset(name: str) -> dict[str, Any]:
    return read_toml(_FOLDER / f"{name}.toml", f"preset {name}")


def _extend(data: dict[str, Any], name: str, folder: Path, tables: Tables, *, is_article: bool = False) -> Config:
    """The configuration that a file makes of the preset that it extends."""
    recipes: dict[str, Recipe | None] = {}
    reader = Reader(name, Context(folder, recipes))
    extended = data.get("extends", PRESETS[0])
    if extended not in PRESETS:
        reader.fail(("extends",), did_you_mean(str(extended), PRESETS), extended)
        extended = PRESETS[0]
    base = None if is_article else _load_preset(extended, tuple(tables.items()))
    given = {key: data.get(key, {}) for key in ("atlas", "features", "recipes", "site", *tables)}
    known = ("extends", *given)
    for key in data:
        if key not in known:
            reader.fail((key,), f"no such key; {did_you_mean(key, known)}", data[key])
    recipes.update({**(base.recipes if base else {}), **_read_recipes(reader, given["recipes"])})
    base_atlas = values_of(AtlasTable, base)
    if isinstance(given["atlas"], dict) and "weights" in given["atlas"]:
        for key in ("weights_input", "class_names"):  # which are those of the base's weights
            base_atlas.pop(key, None)
    atlas = reader.table(AtlasTable, given["atlas"], ("atlas",), base_atlas)
    site = reader.table(SiteTable, given["site"], ("site",), values_of(SiteTable, base))
    base_features = values_of(FeaturesTable, base)
    for key, others in _ALONE.items():
        if isinstance(given["features"], dict) and key in given["features"]:
            base_features = {name: value for name, value in base_features.items() if name not in others}
    features = reader.table(FeaturesTable, given["features"], ("features",), base_features)
    studies = {
        kind: reader.table(kind, given[table], (table,), values_of(kind, base and base.studies[kind]))
        for table, kind in tables.items()
    }
    if features:
        _check_features(reader, features, "features", "count")
    reader.finish()
    assert atlas
    assert features
    config = Config(
        **values_of(AtlasTable, atlas),
        **values_of(FeaturesTable, features),
        **values_of(SiteTable, site),
        recipes=MappingProxyType(_known(recipes)),
        recipe_is_chosen=base is not None and ("recipe" in given["features"] or base.recipe_is_chosen),
        studies=MappingProxyType({kind: settings for kind, settings in studies.items() if settings}),
    )
    return config.only_features() if config.only else config


def _check_features(reader: Reader, table: FeaturesTable, *place: str) -> None:
    """Refuse a feature that none of the layers has; one that some layers lack is left out there."""
    named = [name for name in table.layers if name != layers.FC] or table.layers
    widest = max(map(layers.get_layer, named), key=lambda layer: layer.features)
    if table.count.last_named >= widest.features:
        why = f"no layer here has a feature {table.count.last_named}; the widest, {widest.name}, has"
        reader.fail(place, f"{why} 0 to {widest.features - 1}")


def _read_recipes(reader: Reader, tables: Any) -> dict[str, Recipe | None]:
    """The recipes of a file; None for those that are invalid, so that others may name them without a second error."""
    if not isinstance(tables, dict):
        reader.fail(("recipes",), "must be a table, [recipes]", tables)
        return {}
    return {name: _read_recipe(reader, name, table) for name, table in tables.items()}


def _read_recipe(reader: Reader, name: str, table: object) -> Recipe | None:
    place = ("recipes", name)
    if not _RECIPE_NAME.fullmatch(name):
        reader.fail(place, "a recipe's name is made of a-z, 0-9, _ and -, at most 40 of them", table)
    if isinstance(table, dict) and "name" in table:
        reader.fail((*place, "name"), "no such key; the table's header names the recipe", table["name"])
    recipe = reader.table(Recipe, table, place, {"name": name})
    if recipe:
        for key, why in recipe.faults():
            reader.fail((*place, key), why, recipe.as_dict().get(key))
    return recipe


def _known(recipes: Mapping[str, Recipe | None]) -> dict[str, Recipe]:
    return {name: recipe for name, recipe in recipes.items() if recipe}


def _split(text: str) -> str | list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    return "all" if names == ["all"] else names
