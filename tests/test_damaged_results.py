"""Results and records of examples with numbers that cannot be: they are named, and cost nothing but themselves."""

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from atlas import studies
from atlas.cli.settings import with_photos
from atlas.plan.config import Config
from atlas.site.build import SiteReport, build_site
from atlas.site.catalogue import Atlas, gather_atlas
from atlas.site.check import check_site, check_store
from atlas.site.pages import make_pages
from atlas.store.records import WeightsId
from atlas.store.results import Results
from atlas.store.weights_ids import resolve_weights
from atlas.studies import load_config
from atlas.studies.examples.page import shown_examples
from atlas.studies.examples.result import read_examples

DATA = Path(__file__).parent / "data"
MUTATIONS = 2000 if os.environ.get("ATLAS_TORTURE") else 60


@dataclass(frozen=True)
class Copied:
    """A copy of the sample store, to be spoilt."""

    config: Config
    weights: WeightsId
    atlas: Atlas

    @property
    def results(self) -> list[Path]:
        return sorted((self.config.store / self.weights.folder / "findings").glob("*.json"))

    def result(self, name: str) -> Path:
        return next(path for path in self.results if path.stem == name)

    def build(self) -> SiteReport:
        return build_site(self.config, self.weights, studies.pages())


@pytest.fixture
def copied(tmp_path: Path) -> Copied:
    shutil.copytree(DATA, tmp_path / "data")  # all of it: crops are shown of the folder that lies beside the store
    config = with_photos(load_config(str(tmp_path / "data" / "demo-store.toml")))
    config = replace(config, site=tmp_path / "site")
    weights = resolve_weights(config.store, config.weights)
    assert weights
    return Copied(config, weights, gather_atlas(config, weights, studies.pages()))


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in nested tables and lists."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def change(file: Path, path: tuple[Any, ...], change: Any) -> None:
    """Replace a value in a file by what a function makes of it."""
    data = inner = json.loads(file.read_text())
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    file.write_text(json.dumps(data))


def odd_value(value: Any, chance: random.Random) -> Any:
    """A value of the same type that no study finds."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return chance.choice([0, -1, 10**6, 2**62, 10**400])
    if isinstance(value, float):
        return chance.choice([0.0, -1.0, 5e-324, 1e308, -1e308])
    if isinstance(value, str):
        return chance.choice(["", "x", "\0", "Mixed_7c[2047]"])
    if isinstance(value, list):
        return chance.choice([[], value[:-1], value + value[-1:], value[::-1]])
    return dict(list(value.items())[1:])


@pytest.mark.torture
def test_any_one_odd_value_costs_its_result_at_most(copied: Copied) -> None:
    chance = random.Random(None if os.environ.get("ATLAS_TORTURE") else 11)
    features = {feature.page for feature in copied.atlas.features}
    kinds: dict[str, list[Path]] = {}
    for file in copied.results:
        kinds.setdefault(file.stem.split("-")[0], []).append(file)
    found = 0
    for _ in range(MUTATIONS):
        file = chance.choice(kinds[chance.choice(sorted(kinds))])
        whole = file.read_text()
        path = chance.choice([("found",), *(("found", *rest) for rest in places(json.loads(whole)["found"]))])
        change(file, path, lambda value: odd_value(value, chance))
        results = Results(copied.config, copied.weights)
        assert features <= {page.path for page in make_pages(replace(copied.atlas, results=results))}
        assert {line.split(": ")[0] for line in results.damaged.values()} <= {str(file)}, f"{file.stem} {path}"
        found += len(results.damaged)
        file.write_text(whole)
    assert found, "none of them spoils anything: this tests nothing"


def test_an_edited_result_is_named_and_the_rest_is_written(copied: Copied) -> None:
    metrics, connections = copied.result("metrics"), copied.result("connections-Mixed_6b")
    change(metrics, ("found", "targets"), lambda targets: targets * 2)
    change(connections, ("found", "fed_by_planned", "0", 0, 0), lambda number: 10**6)
    report = copied.build()
    assert [line.split(": ")[0] for line in report.damaged] == [str(connections), str(metrics)]
    assert check_site(copied.config.site).faults == ()
    assert not (copied.config.site / "metrics").exists()
    home = (copied.config.site / "index.html").read_text(encoding="utf-8")
    assert "compare/index.html" in home
    assert "metrics/index.html" not in home
    assert (copied.config.site / "Mixed_6b/0/index.html").is_file()
    metrics.unlink()
    connections.unlink()
    assert copied.build().damaged == ()


def test_an_edited_record_of_crops_is_named_and_the_rest_is_written(copied: Copied) -> None:
    record = copied.config.store / copied.weights.folder / "examples" / "examples.json"
    assert shown_examples(copied.atlas).found
    found = read_examples(copied.config.store, copied.weights)
    at = next(at for at, one in enumerate(found.features) if one.crops)
    change(record, ("found", "features", at, "crops", 0, "size"), lambda _: [0, 0])
    (line,) = copied.build().damaged
    assert line.startswith(f"{record}: damaged")
    assert check_store(copied.config.store, studies.pages()) == [line]
    assert check_site(copied.config.site).faults == ()
    assert not (copied.config.site / "examples" / "index.html").exists()


def test_a_result_of_an_earlier_version_is_not_shown_until_it_is_measured_anew(copied: Copied) -> None:
    file = copied.result("metrics")
    data = json.loads(file.read_text())
    del data["sha256"]
    data["found"]["targets"] = data["found"]["targets"] * 2
    file.write_text(json.dumps(data))
    assert copied.build().damaged == ()
    assert not (copied.config.site / "metrics").exists()
