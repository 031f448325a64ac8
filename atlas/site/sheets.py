"""How pictures are laid out in one: of a region, a row for each layer; of a layer, all of its features."""

from dataclasses import dataclass

from atlas.site.catalogue import Exhibit, LayerEntry, RegionEntry

REGION_COLUMNS, REGION_TILE = 16, 96
LAYER_TILES = ((64, 96), (256, 64), (768, 48), (2048, 32))  # up to so many features, pixels of each one's picture
NARROW, WIDE, MANY = 16, 32, 256  # pictures in a row, and features from which a row is wide


@dataclass(frozen=True)
class Sheet:
    """Renderings of features in rows."""

    rows: tuple[tuple[Exhibit, ...], ...]
    tile: int  # pixels of a picture's side
    gap: int  # pixels between two

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        step = self.tile + self.gap
        return max(len(row) for row in self.rows) * step + self.gap, len(self.rows) * step + self.gap


def region_sheet(region: RegionEntry) -> Sheet:
    """The first features of each layer, a row for each, as the article's figures show them: grey ones stay grey."""
    return Sheet(tuple(entry.features[:REGION_COLUMNS] for entry in region.planned), tile=REGION_TILE, gap=4)


def layer_sheet(entry: LayerEntry) -> Sheet:
    """All features of a layer, in their order; the more there are, the smaller, so that the file stays below 300 KB."""
    columns = WIDE if len(entry.features) > MANY else NARROW
    faces = tuple(feature.face for feature in entry.features)
    rows = tuple(faces[at : at + columns] for at in range(0, len(faces), columns))
    return Sheet(rows, tile=next(tile for most, tile in LAYER_TILES if len(entry.features) <= most), gap=2)
