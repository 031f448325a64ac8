"""Store → page models: `Atlas` → the pages of the site, each with its path, its words and what its template needs."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TypeVar

from atlas.plan import layers
from atlas.site import words
from atlas.site.catalogue import Atlas, Feature, LayerEntry, RegionEntry
from atlas.site.models import (
    Card,
    FeatureBody,
    HomeBody,
    LayerBody,
    Link,
    OctaveRow,
    Page,
    Picture,
    PlainBody,
    RegionBody,
    RegionCard,
    Tile,
)
from atlas.site.pictures import THUMB, fit, has_sheet, sheet_folder, sheet_size

HOME = "index.html"
METHOD = "method/index.html"
MISSING = "404.html"
FEATURES_A_PAGE = 64
FEATURES_A_LAYER = 16  # on a region's page, as in the article's figures
THUMBS_A_CARD = 4  # on the home page
GRID_SIZE = (299, 299)  # pixels at which a layer's grid is stated
PAGES_AROUND = 2  # links on either side of the page that is open

Entry = TypeVar("Entry")
Around = tuple[Link | None, Link | None]
HOME_LINK = Link("Home", HOME)


def make_pages(atlas: Atlas) -> list[Page]:
    """All pages of an atlas, in a fixed order."""
    pages = [_home(atlas), _method(atlas)]
    regions = [region for region in atlas.regions if region.planned]
    for at, region in enumerate(regions):
        pages.append(_region_page(atlas, region, _around(regions, at, lambda r: Link(r.region.title, r.page))))
    entries = [entry for entry in atlas.layers if entry.features]
    for at, entry in enumerate(entries):
        pages += _layer_pages(entry, _around(entries, at, lambda e: Link(e.layer.name, e.page)))
        pages += [_feature_page(atlas, entry, position) for position in range(len(entry.features))]
    return pages


def region_link(slug: str) -> Link:
    """A link to a region's page."""
    return Link(layers.get_region(slug).title, f"region/{slug}/{HOME}")


def _home(atlas: Atlas) -> Page:
    shown = sum(len(entry.shown) for entry in atlas.layers)
    body = HomeBody(
        regions=tuple(_region_card(region) for region in atlas.regions),
        planned=len(atlas.features),
        shown=shown,
        statuses=atlas.statuses,
        recipe=atlas.recipe.name,
    )
    description = (
        f"What every layer of InceptionV3 responds to: {shown:,} renderings of features from "
        f"{sum(bool(entry.features) for entry in atlas.layers)} layers in four regions."
    )
    return Page(HOME, "home.html", "", description, (), body)


def _method(atlas: Atlas) -> Page:
    description = "How the pictures of this atlas are made: features, targets, gradient descent, octaves, scores."
    crumbs = (HOME_LINK, Link("Method", None))
    return Page(METHOD, "method.html", "Method", description, crumbs, PlainBody(atlas.recipe))


def missing_page(atlas: Atlas) -> Page:
    """The page for addresses that do not exist; served at any depth, so its links must be absolute."""
    return Page(MISSING, MISSING, "Not found", "There is no such page in this atlas.", (), PlainBody(atlas.recipe))


def _region_card(region: RegionEntry) -> RegionCard:
    return RegionCard(
        slug=region.region.slug,
        title=region.region.title,
        page=region.page if region.planned else None,
        sentence=words.REGIONS[region.region.slug],
        cards=tuple(_card(entry, (entry.shown or entry.features)[:THUMBS_A_CARD]) for entry in region.layers),
    )


def _card(entry: LayerEntry, features: Sequence[Feature]) -> Card:
    rows, cols = layers.grid(entry.layer.name, GRID_SIZE)
    return Card(
        name=entry.layer.name,
        page=entry.page if entry.features else None,
        features=entry.layer.features,
        grid=f"{rows} × {cols}",
        field=words.field_of(entry.layer.name),
        planned=len(entry.features),
        shown=len(entry.shown),
        statuses=entry.statuses,
        tiles=tuple(_tile(feature) for feature in features),
    )


def _tile(feature: Feature) -> Tile:
    return Tile(feature.page, feature.layer, feature.number, feature.status, _picture(feature, "thumb.avif", THUMB))


def _picture(feature: Feature, name: str, largest: int) -> Picture | None:
    if feature.record is None:
        return None
    width, height = fit((feature.record.width, feature.record.height), largest)
    return Picture(f"{feature.folder}/{name}", f"{feature.folder}/thumb.jpg", width, height)


def _region_page(atlas: Atlas, region: RegionEntry, around: Around) -> Page:
    sheet = None
    if has_sheet(region):
        folder = sheet_folder(region)
        sheet = Picture(f"{folder}/sheet.avif", f"{folder}/sheet.jpg", *sheet_size(region))
    title = region.region.title
    is_demo = atlas.weights is not None and atlas.weights.name == "demo"
    body = RegionBody(
        sentence=words.REGIONS[region.region.slug],
        shown=words.DEMO_REGIONS[region.region.slug] if is_demo else "",
        cards=tuple(_card(entry, entry.features[:FEATURES_A_LAYER]) for entry in region.planned),
        sheet=sheet,
        previous=around[0],
        next=around[1],
    )
    names = ", ".join(entry.layer.name for entry in region.planned)
    description = f"{title} of InceptionV3: what the features of {names} respond to."
    return Page(region.page, "region.html", title, description, (HOME_LINK, Link(title, None)), body)


def _layer_pages(entry: LayerEntry, around: Around) -> list[Page]:
    name, count = entry.layer.name, len(entry.features)
    total = -(-count // FEATURES_A_PAGE)
    region = region_link(entry.layer.region)
    pages = []
    for at in range(total):
        chunk = entry.features[at * FEATURES_A_PAGE : (at + 1) * FEATURES_A_PAGE]
        body = LayerBody(
            card=_card(entry, ()),
            tiles=tuple(_tile(feature) for feature in chunk),
            branches=_branches(entry.layer),
            at=at + 1,
            total=total,
            pages=_page_links(name, at + 1, total),
            previous=around[0],
            next=around[1],
        )
        what = f"features {chunk[0].number} to {chunk[-1].number}"
        title = f"{name}, page {at + 1}" if total > 1 else name
        crumbs = (HOME_LINK, region, Link(name, None))
        description = f"{name} of InceptionV3, {what}: one picture for each, made by gradient descent on the input."
        pages.append(Page(layer_page(name, at + 1), "layer.html", title, description, crumbs, body))
    return pages


def layer_page(name: str, at: int) -> str:
    """Path of a page of a layer's features, counted from 1."""
    return f"{name}/{HOME}" if at == 1 else f"{name}/page/{at}/{HOME}"


def _page_links(name: str, at: int, total: int) -> tuple[Link, ...]:
    """Links to the first and last page and to those around the open one, with gaps between."""
    if total == 1:
        return ()
    near = range(at - PAGES_AROUND, at + PAGES_AROUND + 1)
    links: list[Link] = []
    for page in sorted({1, total, *(n for n in near if 1 <= n <= total)}):
        if links and int(links[-1].words) != page - 1:
            links.append(Link("…", None))
        links.append(Link(str(page), None if page == at else layer_page(name, page)))
    return tuple(links)


def _branches(layer: layers.Layer) -> tuple[tuple[str, str, str], ...]:
    if len(layer.branches) == 1:
        return ()
    return tuple(
        (branch.name, f"{branch.first} to {branch.range[-1]}", words.field_of(layer.name, branch.first))
        for branch in layer.branches
    )


def _feature_page(atlas: Atlas, entry: LayerEntry, position: int) -> Page:
    feature = entry.features[position]
    name, number = feature.layer, feature.number
    around = _around(entry.features, position, lambda f: Link(f"{f.layer} {f.number}", f.page))
    at = position // FEATURES_A_PAGE + 1
    crumbs = (
        HOME_LINK,
        region_link(entry.layer.region),
        Link(name, layer_page(name, at)),
        Link(str(number), None),
    )
    body = _feature_body(atlas, feature, around)
    description = f"Feature {number} of {name} in InceptionV3: {_first_lower(body.sentence)}"
    return Page(feature.page, "feature.html", f"{name} {number}", description, crumbs, body)


def _feature_body(atlas: Atlas, feature: Feature, around: Around) -> FeatureBody:
    record, recipe = feature.record, feature.job.recipe
    name, number = feature.layer, feature.number
    scores = record.octaves if record else ()
    return FeatureBody(
        layer=name,
        number=number,
        target=str(feature.job.target),
        status=feature.status,
        sentence=words.status_sentence(feature.status, record),
        picture=_picture(feature, "picture.avif", max(record.width, record.height)) if record else None,
        alt=_alt(feature),
        record=record,
        json=f"{feature.folder}/record.json" if record else None,
        seed=feature.job.seed,
        recipe=recipe,
        octaves=tuple(
            OctaveRow(octave, _map_size(name, octave.size), score)
            for octave, score in zip_longest(recipe.octaves, scores[: len(recipe.octaves)])
        ),
        branch=words.branch_of(name, number),
        field=words.field_of(name, number),
        command=words.command(feature.job, record, atlas.weights_option),
        toml=None if words.is_preset(recipe) else words.toml(recipe),
        previous=around[0],
        next=around[1],
    )


def _alt(feature: Feature) -> str:
    record = feature.record
    if record is None:
        return ""
    return (
        f"Rendering of feature {feature.number} of {feature.layer}, {record.width} × {record.height} pixels, "
        f"status {record.status}, score {words.number(record.score_shown)}."
    )


def _map_size(layer: str, size: int) -> str:
    rows, cols = layers.grid(layer, (size, size))
    return f"{rows} × {cols}"


def _around(items: Sequence[Entry], at: int, link: Callable[[Entry], Link]) -> Around:
    before = link(items[at - 1]) if at else None
    after = link(items[at + 1]) if at + 1 < len(items) else None
    return before, after


def _first_lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
