"""Votes, on the pages of classes and of the features of Mixed_7c; and the way from a class down to Conv2d_1a.

The names of classes are what they "respond to": so tiles, titles, the search and the data have them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atlas.inception.layers import FC, LAYERS
from atlas.site import words
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Tile
from atlas.site.pages.parts import class_name, tiles
from atlas.site.study_page import Section, StudyPage
from atlas.studies.connections.result import connected_layers, connections_spec
from atlas.studies.votes.result import COPIES, VOTERS, VOTES, WEIGHED, ClassVotes, FeatureVotes, Tie, Ties, voters

LEAST_SEEN = 0.01  # the probability of a class that is named after the first
WIDEST = 12.0  # pixels of the line of the largest vote


@dataclass(frozen=True)
class Row:
    """A feature or a class with a vote."""

    name: str
    page: str | None  # None: it is not in the atlas
    vote: float
    share: float  # of the largest magnitude of its table, from 0 to 1, as long as its bar


def names_of(atlas: Atlas, entry: LayerEntry) -> dict[int, str]:
    """The names of classes that are known, by number."""
    is_class = entry.layer.name == FC
    return {number: name for number in entry.by_number if is_class and (name := class_name(atlas, number))}


def _name(atlas: Atlas, number: int) -> str:
    """The name of a class, or its notation where that is not known."""
    return class_name(atlas, number) or f"{FC}[{number}]"


def votes_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """Of classes the features that vote for and against them, of features of Mixed_7c the classes; by number."""
    if not atlas.config.classes:
        return {}
    if entry.layer.name == FC and (votes := atlas.result(VOTES)):
        return {number: _of_class(atlas, number, one) for number, one in votes.classes.items()}
    if entry.layer.name == VOTERS and (weighed := atlas.result(WEIGHED)):
        return {number: _of_feature(atlas, one) for number, one in weighed.features.items()}
    return {}


def _of_class(atlas: Atlas, number: int, one: ClassVotes) -> dict[str, object]:
    named = (*one.votes_for, *one.votes_against)
    planned = atlas.once(tiles)
    drawn = [(at, vote) for at, vote in one.votes_for if (VOTERS, at) in planned]
    most = max((vote for _, vote in drawn), default=0) or 1.0
    return {
        "is_class": True,
        "name": _name(atlas, number),
        "votes": one,
        "rows": _rows(atlas, VOTERS, one.votes_for, one.votes_against),
        "others": one.voters - len(named),
        "rest": one.logit - one.bias - sum(vote for _, vote in named),
        "seen": [
            Row(_name(atlas, at), _page_of(atlas, FC, at), share, share)
            for place, (at, share) in enumerate(one.seen)
            if not place or share >= LEAST_SEEN
        ],
        "copies": COPIES,
        "voters": VOTERS,
        # tile, words, and the width of a line
        "drawn": [(planned[VOTERS, at], words.signed(vote), max(1, WIDEST * vote / most)) for at, vote in drawn],
        "way": list(_way_down(atlas, number, drawn)),
    }


def _of_feature(atlas: Atlas, one: FeatureVotes) -> dict[str, object]:
    rows = _rows(atlas, FC, one.votes_for, one.votes_against)
    return {"is_class": False, "rows": rows, "classes": len(atlas.weights.classes) if atlas.weights else 0}


def _rows(atlas: Atlas, layer: str, *sides: Ties) -> list[list[Row]]:
    """The rows of a table, those for and those against: features of Mixed_7c, or classes."""
    largest = max((abs(vote) for ties in sides for _, vote in ties), default=0) or 1.0
    name = _name if layer == FC else _feature_words
    return [
        [Row(name(atlas, at), _page_of(atlas, layer, at), vote, abs(vote) / largest) for at, vote in ties]
        for ties in sides
    ]


def _feature_words(atlas: Atlas, number: int) -> str:
    feature = atlas.layer(VOTERS).by_number.get(number)
    said = atlas.words_of(feature) if feature else ""
    return f"{number}: {said}" if said else str(number)


def _page_of(atlas: Atlas, layer: str, number: int) -> str | None:
    tile = atlas.once(tiles).get((layer, number))
    return tile.page if tile else None


def _way_down(atlas: Atlas, number: int, voters: Sequence[Tie]) -> Iterator[Tile]:
    """From a class to Conv2d_1a: at each step the feature of this atlas that votes for it or feeds it most."""
    planned = atlas.once(tiles)
    connected = connected_layers(atlas.config)
    if not voters or (FC, number) not in planned:
        return
    yield replace(planned[FC, number], words=_name(atlas, number))
    feature, vote = voters[0]
    how = words.signed(vote)
    for layer in reversed(LAYERS):
        if (layer.name, feature) not in planned:
            return
        yield replace(planned[layer.name, feature], words=f"{layer.name} {feature} · {how}")
        found = atlas.result(connections_spec(layer.name)) if layer.name in connected else None
        before = found.fed_by_planned.get(feature, ()) if found else ()
        if not before:
            return
        feature, share = before[0]
        how = words.percent(share)


PAGE = StudyPage(names=voters, says=names_of, section=Section("studies/votes_section.html", votes_of))
