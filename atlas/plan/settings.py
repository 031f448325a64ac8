"""Settings as data: the types of their fields, and `Reader`, which makes frozen dataclasses of a file's tables.

A table of a configuration is a frozen dataclass that inherits from `Table`; each field is a key, and the field's type
says what is allowed. Use the types of this module, or `Annotated[<type>, PlainValidator(<function>)]` with a function
that takes a value and returns what the field holds, or raises `ConfigError` with the reason. A function gets a file's
value, or a value that it has returned before, since a file that extends another one takes over its values.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, get_args, get_type_hints
from urllib.parse import urlsplit

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
)
from pydantic import ValidatorFunctionWrapHandler as Handler
from pydantic_core import ErrorDetails

from atlas.common.errors import ConfigError, did_you_mean, shorten
from atlas.inception import layers, targets
from atlas.inception.layers import Layer
from atlas.inception.targets import Target, Term

if TYPE_CHECKING:  # whose fields have types of this module
    from atlas.plan.recipes import Recipe

LONGEST_PATH, LONGEST_PART = 4095, 255  # bytes that file systems take
MOST_FAULTS = 20  # that one message lists

_NOT_IN_URLS = frozenset(' "<>\\^`{|}')
_BYTES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([MG]B)")
_UNITS = {"MB": 10**6, "GB": 10**9}
LEAST_BYTES, MOST_BYTES = 10**6, 10**12  # of a size

T = TypeVar("T")
Place = tuple[str | int, ...]  # of a value: keys of tables and indices of lists


class Table:
    """Base of the dataclasses that are read from a table; a key that is no field is an error."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class StudySettings(Table):
    """Base of the settings of a study."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The features that its targets name, which therefore have pages."""
        return tuple(term for target in _targets_in(tuple(vars(self).values())) for term in target.terms)

    def emptied(self) -> Self:
        """The same settings with empty lists: nothing to render or to show, for an atlas of features alone."""
        return replace(self, **{key: () for key, value in vars(self).items() if isinstance(value, tuple)})


def _targets_in(value: object) -> Iterator[Target]:
    if isinstance(value, Target):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _targets_in(part)


@dataclass(frozen=True)
class Context:
    """What the values of a table may refer to."""

    folder: Path  # to which paths are relative
    recipes: "Mapping[str, Recipe | None]"  # by name; None: its table is invalid


Info = ValidationInfo[Context]


class Whole(PlainValidator):
    """Marks a whole number, least ≤ value ≤ most: `Annotated[int, Whole(1, 120)]`."""

    least: int
    most: int

    def __init__(self, least: int, most: int) -> None:
        def read(value: object) -> int:
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise ConfigError(f"must be a whole number from {least} to {most}")
            return value

        super().__init__(read)
        object.__setattr__(self, "least", least)  # a validator is frozen
        object.__setattr__(self, "most", most)


def _read_pair(value: object, handler: Handler) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError("must be two numbers [first, last]")
    first, last = handler(value)
    return first, last


def read_text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ConfigError("must be a string, in quotes")
    return value


def _read_title(value: object) -> str:
    title = read_text(value)
    if not title.strip():
        raise ConfigError("must not be empty")
    return title


def read_path(value: object, folder: Path) -> Path:
    """A path as it is written in a configuration: relative to a folder, and ~ is the home.

    Raises:
        ConfigError: empty, longer than file systems take, or in the home of an unknown user.
    """
    text = read_text(value)
    if not text or "\0" in text:
        raise ConfigError("must be a path: this is no path")
    if len(os.fsencode(text)) > LONGEST_PATH or any(len(os.fsencode(p)) > LONGEST_PART for p in Path(text).parts):
        raise ConfigError("must be a path: this is longer than a path can be")
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise ConfigError("must be a path: no user of that name is known here; write the whole path") from None


def _read_relative(value: object, info: Info) -> Path:
    return value if isinstance(value, Path) else read_path(value, info.context.folder)


def read_target(value: object) -> Target:
    """A target, or one in the notation."""
    return value if isinstance(value, Target) else targets.parse(read_text(value))


def _read_feature(value: object) -> Target:
    target = read_target(value)
    if not target.is_feature:
        raise ConfigError('is no whole feature, such as "Mixed_6b[654]"')
    if target.deepest == layers.FC:
        raise ConfigError("is a class, which has no feature map; name a feature of another layer")
    return target


def _read_layer(value: object) -> str:
    name = read_text(value)
    if " " in name:
        raise ConfigError("separate names by commas; a layer's name has no space")
    return layers.get_layer(name).name


def _read_map_layer(value: object) -> str:
    name = _read_layer(value)
    if name == layers.FC:
        raise ConfigError("has no feature maps; name one of the other layers")
    return name


def _read_recipe(value: object, info: Info) -> str:
    name = read_text(value)
    if name not in info.context.recipes:
        raise ConfigError(f"no such recipe; {did_you_mean(name, info.context.recipes)}")
    return name


def _read_one_size_recipe(value: object, info: Info) -> str:
    name = _read_recipe(value, info)
    if recipe := info.context.recipes[name]:
        sizes = sorted({octave.size for octave in recipe.octaves})
        why = f"goes over {', '.join(map(str, sizes))} px" if len(sizes) > 1 else "lets the network see smaller images"
        if len(sizes) > 1 or recipe.shrinks:
            raise ConfigError(f"must stay at one size, such as raster; this one {why}")
    return name


def _read_strings(value: object, handler: Handler) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError("must be a list of strings, in quotes")
    return tuple(dict.fromkeys(handler(value)))


def _read_layers(value: object, handler: Handler, every: Iterable[Layer] = layers.ALL_LAYERS) -> tuple[str, ...]:
    if value == "all":
        return tuple(layer.name for layer in every)
    if not value or not isinstance(value, list | tuple):
        raise ConfigError('must be "all" or a list of layer names')
    return tuple(sorted(set(handler(value)), key=layers.depth))


def _read_map_layers(value: object, handler: Handler) -> tuple[str, ...]:
    return _read_layers(value, handler, layers.LAYERS)


def _read_base_url(value: object) -> str:
    text = read_text(value)
    if text and (fault := _url_fault(text)):
        raise ConfigError(f'{fault}; must be like "https://name.github.io/atlas/"')
    return text if text.endswith("/") or not text else text + "/"


def _read_bytes(value: object) -> int | None:
    if value is None or value == "":
        return None
    if type(value) is int and value >= LEAST_BYTES:  # bytes, as read before
        return value
    found = _BYTES.fullmatch(value.upper()) if isinstance(value, str) else None
    size = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if not LEAST_BYTES <= size <= MOST_BYTES:
        raise ConfigError('must be a size with its unit, such as "1GB" or "800MB", from 1MB to 1000GB, or "" for none')
    return size


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


Flag = Annotated[bool, Strict()]
Title = Annotated[str, PlainValidator(_read_title)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Pair = Annotated[tuple[Number, Number], WrapValidator(_read_pair)]
PositivePair = Annotated[tuple[PositiveNumber, PositiveNumber], WrapValidator(_read_pair)]
FolderPath = Annotated[Path, PlainValidator(_read_relative)]
FilePath = Annotated[Path, PlainValidator(_read_relative)]
BaseUrl = Annotated[str, PlainValidator(_read_base_url)]
Bytes = Annotated[int | None, PlainValidator(_read_bytes)]  # None: no limit
RecipeName = Annotated[str, PlainValidator(_read_recipe)]
OneSizeRecipe = Annotated[str, PlainValidator(_read_one_size_recipe)]  # a place in the map is one in the picture
EachOnce = WrapValidator(_read_strings)  # marks a list of strings in which each counts once
Targets = Annotated[tuple[Annotated[Target, PlainValidator(read_target)], ...], EachOnce]
FeatureTargets = Annotated[tuple[Annotated[Target, PlainValidator(_read_feature)], ...], EachOnce]
LayerName = Annotated[str, PlainValidator(_read_map_layer)]  # any but the classifier
LayerNames = Annotated[tuple[LayerName, ...], EachOnce]
MapLayers = Annotated[tuple[LayerName, ...], WrapValidator(_read_map_layers)]  # or "all"; in the network's order
# likewise, with the classifier, which some weights lack
Layers = Annotated[tuple[Annotated[str, PlainValidator(_read_layer)], ...], WrapValidator(_read_layers)]
RecipeNames = Annotated[tuple[RecipeName, ...], EachOnce]


class Reader:
    """Reads the tables of one file, or options of the command line, and collects the errors."""

    def __init__(self, name: str, context: Context) -> None:
        """Begin.

        Args:
            name: of the file, for messages; "" for options.
            context: what its values may refer to.
        """
        self._name = name
        self._context = context
        self._faults: list[str] = []

    def table(self, kind: type[T], value: object, place: Place, base: Mapping[str, object]) -> T | None:
        """Read a table.

        Args:
            kind: the dataclass to make of it.
            value: of the file.
            place: where it stands.
            base: values of the keys that the table leaves out.

        Returns:
            None if a value is invalid.
        """
        if not isinstance(value, dict):
            self.fail(place, f"must be a table, [{_path(place)}]", value)
            return None
        found: T | None = self._read(kind, {**base, **value}, place)
        return found

    def option(self, kind: type[Table], key: str, option: str, value: object) -> Any:
        """Read an option of the command line as the value of a key of a table; None if it is invalid."""
        return self._read(get_type_hints(kind, include_extras=True)[key], value, (option,))

    def fail(self, place: Place, why: str, value: object = None) -> None:
        """Note an invalid value.

        Args:
            place: its keys, or the option.
            why: the reason, which follows a colon.
            value: as given; None: leave it out of the message.
        """
        where, sign = (str(place[0]), " ") if str(place[0]).startswith("--") else (_path(place), " = ")
        shown = "" if value is None else sign + _show(value)
        self._faults.append(f"{where}{shown}: {why}")

    def finish(self) -> None:
        """Raise an error if a value was invalid.

        Raises:
            ConfigError: lists the invalid values, a line for each.
        """
        shown, more = self._faults[:MOST_FAULTS], len(self._faults) - MOST_FAULTS
        shown += [f"and {more} more"] if more > 0 else []
        if len(shown) == 1 and self._name:
            raise ConfigError(f"{self._name}: {shown[0]}")
        if shown:
            head = [f"{self._name}: {len(self._faults)} errors"] if self._name else []
            raise ConfigError("\n  ".join([*head, *shown]))

    def _read(self, kind: Any, value: object, place: Place) -> Any:
        try:
            return _adapter(kind).validate_python(value, context=self._context)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                is_missing = one["type"] == "missing"
                self.fail((*place, *one["loc"]), _why(one, kind), None if is_missing else one["input"])
            return None


def values_of(kind: Any, table: Any) -> dict[str, Any]:
    """The keys of a kind of table and their values in one of that kind; empty if there is none."""
    return {field.name: getattr(table, field.name) for field in fields(kind)} if table else {}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


_WHY = {
    "missing": "missing",
    "dataclass_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be a string, in quotes",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be a number above {gt:g}",
}


def _why(error: ErrorDetails, kind: Any) -> str:
    """Why a value is invalid, in the words of this program."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "unexpected_keyword_argument":
        *outer, key = error["loc"]
        return f"no such key; {did_you_mean(str(key), _keys(kind, outer))}"
    if error["type"] == "literal_error":
        choices = re.findall("'(.*?)'", error["ctx"]["expected"])
        close = did_you_mean(str(error["input"]), choices)
        allowed = did_you_mean("", choices)
        return allowed if close == allowed else f"{allowed}; {close}"
    return _WHY.get(error["type"], "is not allowed here").format(**error.get("ctx", {}))


def _keys(kind: Any, place: Iterable[str | int]) -> list[str]:
    """The keys of a table, or of one inside it."""
    for part in place:
        kind = get_type_hints(kind)[str(part)] if is_dataclass(kind) else get_args(kind)[0]
    return [field.name for field in fields(kind)]


def _path(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in place)[1:]


def _show(value: object) -> str:
    is_text = isinstance(value, str | Target | Path)
    return _printable(f'"{value}"' if is_text else str(value))


def _printable(text: str) -> str:
    return shorten("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shorten(text)))
