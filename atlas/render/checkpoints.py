"""What a training tool saved → the state dict in it, wherever it stands and whatever stands before its names."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atlas.common.errors import WeightsError, shorten

_DEEPEST = 3  # dicts around a state dict, at most


@dataclass(frozen=True)
class StateDict:
    """Tensors by names, and where in a file they were."""

    tensors: Mapping[str, Any]  # without the prefix
    keys: tuple[str, ...] = ()  # of the dicts around them, the outermost first
    prefix: str = ""  # of their names, such as "module."

    @property
    def note(self) -> str:
        """What was done to find them, in words; "" if nothing was."""
        parts = [f"prefix {_plain(self.prefix)} removed"] if self.prefix else []
        parts += [f"from key {_plain('.'.join(self.keys))}"] if self.keys else []
        return "; ".join(parts)

    @property
    def place(self) -> str:
        """Where they are, in words."""
        parts = [f"key {_plain('.'.join(self.keys))}"] if self.keys else []
        parts += [f"prefix {_plain(self.prefix)}"] if self.prefix else []
        return ", ".join(parts)


def find_state_dict(saved: Mapping[Any, Any], names: Collection[str], where: str) -> StateDict:
    """Find the state dict that has all of these names, under one prefix of one dict; what has none keeps its form.

    A file that is itself a state dict with these names is taken as it is, whatever else it holds.

    Args:
        saved: what was read: a dict, perhaps with dicts inside.
        names: of the tensors that are needed.
        where: what to begin a message with.

    Returns:
        The one that is complete; else the one that has most of the names; else the whole, for whoever says what lacks.

    Raises:
        WeightsError: several are complete.
    """
    found = sorted(_candidates(saved, names), key=lambda one: sum(name in one.tensors for name in names), reverse=True)
    complete = [one for one in found if all(name in one.tensors for name in names)]
    if plain := [one for one in complete if not one.place]:
        return plain[0]
    if len(complete) > 1:
        places = "; ".join(one.place for one in complete[:5])
        raise WeightsError(
            f"{where}: holds InceptionV3 {len(complete)} times: {places}. Save the one that you mean alone, "
            "as a state dict, with torch.save, and name that file"
        )
    return found[0] if found else StateDict(saved)


def _candidates(saved: Mapping[Any, Any], names: Collection[str]) -> Iterator[StateDict]:
    """Each prefix of each dict after which one of the names stands."""
    first = next(iter(names))
    for keys, held in _dicts(saved):
        words = [name for name in held if isinstance(name, str)]
        prefixes = {word.removesuffix(first) for word in words if word.endswith(first)}
        for prefix in sorted(prefix for prefix in prefixes if not prefix or prefix.endswith(".")):
            tensors = {word[len(prefix) :]: held[word] for word in words if word.startswith(prefix)}
            yield StateDict(tensors, keys, prefix)


def _dicts(saved: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """A dict and those inside it, each once, with the keys that lead there; a hostile file may hold itself."""
    seen: set[int] = set()
    level: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), saved)]
    for _ in range(_DEEPEST + 1):
        inner: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = []
        for keys, held in level:
            if id(held) not in seen:
                seen.add(id(held))
                yield keys, held
                inner += [((*keys, str(key)), value) for key, value in held.items() if isinstance(value, Mapping)]
        level = inner


def _plain(text: str) -> str:
    """A text of a file as a note can hold it."""
    return shorten(ascii(text)[1:-1])
