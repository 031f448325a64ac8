"""The strongest crops of a person's pictures: who is among them, what is kept of them, and what the site shows."""

import hashlib
import io
import json
import random
import re
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from torchvision.transforms import functional as TF
from typer.testing import CliRunner

import icc
import oracle
from atlas import pipeline, studies
from atlas.cli import app
from atlas.common.errors import ConfigError
from atlas.demo.pictures import CLASSES, draw_class
from atlas.inception.layers import get_layer, grid, receptive_field
from atlas.plan.jobs import feature_jobs, rounds
from atlas.plan.starts import DRAWN
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from atlas.runs import RunOptions
from atlas.site.build import build_site
from atlas.site.check import check_site, check_store
from atlas.store.crops import MOST_LOSSLESS, open_crop
from atlas.store.masters import master_path, open_master, pixels_sha256, write_master
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.compare.settings import Settings as CompareSettings
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.starts import identify_photos
from atlas.studies.examples import chosen as chosen_module
from atlas.studies.examples import find as study
from atlas.studies.examples import pictures as pictures_module
from atlas.studies.examples import scan as scan_module
from atlas.studies.examples.chosen import field_in
from atlas.studies.examples.find import find_examples
from atlas.studies.examples.page import count_wins
from atlas.studies.examples.pictures import draw_pictures, square_of, walk_folder
from atlas.studies.examples.result import KEPT, Crop, FeatureExamples, Placed, crop_files, read_examples
from atlas.studies.examples.scan import Scan, TopK
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.shared.context import MeasureContext
from macros import render_macro
from studied import run_batches
from test_input import folded_copy

CPU = torch.device("cpu")
WORDS = "studies/examples_words.html"
SIZE = 90
OWN_SIZE = 76
PICTURES = 14
TEXT = """
[atlas]
weights = {weights!r}
store = "store"
site = "site"
[features]
layers = ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_6b"]
count = 3
recipe = "small"
[recipes.small]
gradient = "rms"
octaves = [{{ size = {own_size}, steps = 3, lr = [0.1, 0.05], sigma = [1, 0.5] }}]
[raster]
targets = []
[neurons]
targets = []
beside = []
[fields]
layers = []
[influence]
targets = []
[examples]
size = 90
{more}
[tuning]
size = 0
"""


class Quiet:
    """A watcher that keeps what it was told."""

    def __init__(self):
        self.lines = []
        self.counts = []

    def progress(self, task, done, total):
        self.counts.append((done, total))

    def skips(self, why):
        self.lines.append(why)


def read(folder, weights_file, more=""):
    (folder / "atlas.toml").write_text(TEXT.format(weights=str(weights_file), own_size=OWN_SIZE, more=more))
    config = load_config(str(folder / "atlas.toml"))
    return config.only_features().with_study(config.study(ExamplesSettings))


def drawn(at):
    generator = torch.Generator().manual_seed(100 + at)
    pixels = (draw_class(CLASSES[at % len(CLASSES)], 1, 130, generator)[0] * 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy()).crop((0, 0, 130, 92 + at))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures in two folders, one of them twice, on its side, and with more data than its pixels."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "inner").mkdir()
    for at in range(PICTURES):
        exif = Image.Exif()
        exif[0x010F] = "SecretCamera"
        exif[0x0112] = 6 if at == 5 else 1  # turned by 90°
        drawn(at).save(folder / ("inner" if at % 3 == 0 else "") / f"{at:02d}.png", exif=exif)
    (folder / "inner" / "again.png").write_bytes((folder / "01.png").read_bytes())
    (folder / ".hidden.png").write_bytes((folder / "01.png").read_bytes()[:-1])
    return folder


@pytest.fixture(scope="module")
def made(weights, weights_file, photos, tmp_path_factory):
    """A store with renderings and the examples of the photographs."""
    config = read(
        tmp_path_factory.mktemp("examples"), weights_file, f'folder = "{photos}"\nshow = true\ntitle = "mine"'
    )
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds(feature_jobs(config), "cpu", 4):
        run_batches(batches, renderer, config.store, Report(), lambda outcome: None)
    context = MeasureContext(Results(config, weights.id), renderer)
    return context, find_examples(context, walk_folder(photos, print), Quiet(), rows=4)


@pytest.fixture
def context(made, tmp_path):
    """The same renderings in a store of its own, without examples."""
    whole = made[0]
    config = replace(whole.results.config, store=tmp_path / "store", site=tmp_path / "site")
    write_weights_id(config.store, whole.results.weights)
    for job in feature_jobs(config):
        path = master_path(config.store, whole.results.weights, job)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(master_path(whole.results.config.store, whole.results.weights, job).read_bytes())
    return MeasureContext(Results(config, whole.results.weights), whole.renderer)


def found_in(context):
    return read_examples(context.results.config.store, context.results.weights)


# the strongest of a stream


@pytest.mark.parametrize("seed", range(20))
def test_the_strongest_are_those_of_a_full_sort(seed):
    """Small whole numbers, so that many are equal; batches of any size in any order."""
    rng = random.Random(seed)
    count, features, kept = rng.randint(1, 40), rng.randint(1, 5), rng.randint(1, 9)
    maps = torch.randint(0, 4, (count, features, 3, 2), generator=torch.Generator().manual_seed(seed)).float()
    order = rng.sample(range(count), count)
    strongest = TopK.empty(features, kept)
    while order:
        batch = [order.pop() for _ in range(min(len(order), rng.randint(1, 7)))]
        strongest = strongest.merged(maps[batch], torch.tensor(batch))
    for feature in range(features):
        everyone = [(-max(maps[n, feature].flatten().tolist()), n) for n in range(count)]
        expected = [(-score, n) for score, n in sorted(everyone)[:kept]]
        got = list(zip(strongest.scores[feature].tolist(), strongest.pictures[feature].tolist(), strict=True))
        assert got[: len(expected)] == expected
        assert all(number == -1 for _, number in got[len(expected) :])
        for (score, number), place in zip(expected, strongest.places[feature].tolist(), strict=False):
            values = maps[number, feature].flatten().tolist()
            assert place == values.index(score)  # the first in reading order


def test_what_is_not_finite_is_nobodys_strongest():
    maps = torch.tensor([1.0, torch.nan, torch.inf, 2.0])[:, None, None, None]
    strongest = TopK.empty(1, 2).merged(maps, torch.arange(4))
    assert strongest.pictures.tolist() == [[3, 0]]


# what the network is given


def test_a_copy_of_the_network_that_expects_another_map_gives_the_same_crops_and_scores(made, context, photos):
    """As torchvision's weights, which were trained on 2x − 1, beside weights that were trained on x."""
    whole, looked = made
    copy = Weights(replace(whole.renderer.weights.id, input="2x-1"), folded_copy(whole.renderer.weights.tensors))
    renderer = Renderer(copy, CPU, resolve_numerics(CPU, "fp32", 1))
    found = find_examples(
        MeasureContext(Results(context.results.config, copy.id), renderer), walk_folder(photos, print), Quiet(), rows=4
    ).found
    assert (looked.found.input, found.input) == ("x", "2x-1")
    for one, other in zip(looked.found.features, found.features, strict=True):
        assert other.own.score == pytest.approx(one.own.score, rel=1e-4, abs=1e-4)
        assert [crop.score for crop in other.crops] == pytest.approx(
            [crop.score for crop in one.crops], rel=1e-4, abs=1e-4
        )
        assert [(c.picture, c.neuron, c.box) for c in other.crops] == [(c.picture, c.neuron, c.box) for c in one.crops]
    assert read_examples(context.results.config.store, copy.id) == found
    assert read_examples(context.results.config.store, whole.renderer.weights.id) is None  # of another map


# fields


@pytest.mark.parametrize(("layer", "feature"), [("Conv2d_1a_3x3", 0), ("Conv2d_4a_3x3", 5), ("Mixed_5b", 70)])
def test_a_field_holds_all_pixels_that_move_its_neuron(layer, feature, network64):
    rows, cols = grid(layer, (SIZE, SIZE))
    for neuron in ((0, 0), (rows // 2, cols // 3), (rows - 1, cols - 1)):
        seen = torch.zeros(SIZE, SIZE, dtype=torch.float64)
        for seed in range(3):
            image = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            leaf = image.requires_grad_()
            value = network64.activations(leaf, {layer})[layer][0, feature, neuron[0], neuron[1]]
            seen += torch.autograd.grad(value, leaf)[0].abs().sum((0, 1))
        lit = seen.nonzero()
        top, left, bottom, right = field_in(layer, feature, neuron, SIZE)
        if layer == "Conv2d_1a_3x3":
            assert (*lit.amin(0).tolist(), *(lit.amax(0) + 1).tolist()) == (top, left, bottom, right)
        elif len(lit):
            assert top <= lit[:, 0].min()
            assert left <= lit[:, 1].min()
            assert lit[:, 0].max() < bottom
            assert lit[:, 1].max() < right
        assert 0 <= top < bottom <= SIZE
        assert 0 <= left < right <= SIZE
        height, width = receptive_field(layer, feature).size
        assert bottom - top <= height
        assert right - left <= width


# who is kept


def squares(photos):
    """What the network should see of each picture, by the hash of its file."""
    found = {}
    for path in photos.rglob("[0-9]*.png"):
        data = path.read_bytes()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        if path.stem == "05":
            image = image.rotate(-90, expand=True)
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        square = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box)
        found[hashlib.sha256(data).hexdigest()] = square
    return found


def assert_strongest(context, found, pictures, maps):
    """The crops of all features are those of the strongest neurons in maps of all pictures, by layer."""
    features = {one.target: one for one in found.features}
    assert list(features) == [str(job.target) for job in feature_jobs(context.results.config)]
    for job in feature_jobs(context.results.config):
        term = job.target.terms[0]
        values = maps[term.layer][:, term.feature]
        peaks = dict(zip(pictures, values.flatten(1).amax(1).tolist(), strict=True))
        crops = features[str(job.target)].crops
        best = sorted(peaks.values(), reverse=True)[: len(crops)]
        assert len(crops) == min(KEPT, sum(peak > 0 for peak in peaks.values()))
        assert [crop.score for crop in crops] == pytest.approx(best, rel=1e-3, abs=1e-5)
        assert len({crop.picture for crop in crops}) == len(crops)
        for crop in crops:
            assert peaks[crop.picture] == pytest.approx(crop.score, rel=1e-3, abs=1e-5)
            at = values[list(pictures).index(crop.picture)][crop.neuron]
            assert at == pytest.approx(crop.score, rel=1e-3, abs=1e-5)


def test_the_nine_strongest_are_those_of_torchvisions_model(made, photos, model64):
    context, looked = made
    pictures = squares(photos)
    assert (looked.found.seen, looked.found.skipped, len(pictures)) == (PICTURES, 0, PICTURES)
    with torch.no_grad():
        maps = oracle.Cut(model64, context.results.config.layers)(stacked(pictures))
    assert_strongest(context, looked.found, pictures, maps)


def test_weights_that_torchvision_trained_see_photographs_through_its_own_preprocessing(made, context, photos, model64):
    """Normalised, and by `transform_input`, as torchvision's pretrained model does it."""
    whole = made[0].renderer.weights
    trained = Weights(replace(whole.id, input="2x-1"), whole.tensors)
    renderer = Renderer(trained, CPU, resolve_numerics(CPU, "fp32", 1))
    there = MeasureContext(Results(context.results.config, trained.id), renderer)
    found = find_examples(there, walk_folder(photos, print), Quiet(), rows=4).found
    pictures = squares(photos)
    images = TF.normalize(stacked(pictures), oracle.MEAN, oracle.DEVIATION)
    with torch.no_grad():
        maps = oracle.Cut(model64, context.results.config.layers)(model64._transform_input(images))
    assert_strongest(there, found, pictures, maps)


def stacked(pictures):
    """[n, 3, H, W] float64 in [0, 1]."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures.values()])).permute(0, 3, 1, 2).double() / 255


def test_the_own_picture_counts_by_its_strongest_neuron_too(made, model64):
    context, looked = made
    for job, one in zip(feature_jobs(context.results.config), looked.found.features, strict=True):
        term = job.target.terms[0]
        image, record = open_master(master_path(context.results.config.store, context.results.weights, job))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].double() / 255
        with torch.no_grad():
            values = oracle.Cut(model64, [term.layer])(pixels)[term.layer][0, term.feature]
        assert one.own.score == pytest.approx(values.max().item(), rel=1e-3, abs=1e-5)
        assert values[one.own.neuron] == pytest.approx(one.own.score, rel=1e-3, abs=1e-5)
        assert one.own.pixels == record.pixels_sha256
        assert one.wins == (one.own.score > max(crop.score for crop in one.crops))


def test_a_crop_is_the_field_of_its_neuron(made, photos):
    context, looked = made
    pictures = squares(photos)
    folder = looked.path.parent / "crops"
    for job, one in zip(feature_jobs(context.results.config), looked.found.features, strict=True):
        term = job.target.terms[0]
        for crop in one.crops:
            top, left, bottom, right = crop.box
            assert crop.box == field_in(term.layer, term.feature, crop.neuron, SIZE)
            expected = pictures[crop.picture].crop((left, top, right, bottom))
            image = open_crop(folder / crop.file)
            assert image.size == crop.size == expected.size
            gap = np.abs(np.asarray(image).astype(int) - np.asarray(expected).astype(int))
            if max(image.size) <= MOST_LOSSLESS:
                assert gap.max() <= 1  # of rounding, where a square was resized
            assert gap.mean() <= 10  # of noise, which these pictures are full of
    fields = {get_layer("Mixed_6b").name: (SIZE, SIZE), "Conv2d_1a_3x3": (3, 3)}
    for one in looked.found.features:
        layer = one.target.partition("[")[0]
        if layer in fields:
            assert {crop.size for crop in one.crops} == {fields[layer]}


def test_a_large_crop_is_made_smaller():
    image = chosen_module.crop_of(Image.new("RGB", (299, 299)), (0, 0, 299, 240))
    assert image.size == (128, 160)  # top, left, bottom, right


def test_dead_features_have_no_crops(made):
    """Scores of 0 are no excitement: a feature that no picture excites keeps nothing."""
    _, looked = made
    assert all(crop.score > 0 for one in looked.found.features for crop in one.crops)
    maps = torch.zeros(3, 1, 2, 2)
    tops = {"Mixed_5b": TopK.empty(1, 9).merged(maps, torch.arange(3))}
    scan = Scan(tops, {"Mixed_5b": np.zeros((1, 3), np.float32)}, [0, 1, 2], 3)
    assert chosen_module.choose({"Mixed_5b": (0,)}, scan, {}, SIZE).tops == {}


def test_neither_names_nor_order_nor_batches_matter(made, context, photos, tmp_path):
    _, looked = made
    names = sorted(path.name for path in photos.rglob("[0-9]*.png"))
    for at, path in enumerate(sorted(photos.rglob("[0-9]*.png"))):
        (tmp_path / "other" / f"{at % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / f"{at % 2}" / f"{len(names) - at:02d}-x.PNG").write_bytes(path.read_bytes())
    other = find_examples(context, walk_folder(tmp_path / "other", print), Quiet(), rows=4)
    assert replace(other.found, folder=None) == replace(looked.found, folder=None)
    larger = find_examples(context, walk_folder(tmp_path / "other", print), Quiet(), rows=5, force=True)
    for one, two in zip(looked.found.features, larger.found.features, strict=True):
        assert [crop.score for crop in one.crops] == pytest.approx([crop.score for crop in two.crops], rel=1e-4)


def test_nothing_says_where_a_picture_lies(made, photos):
    _, looked = made
    for path in looked.path.parent.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for word in (b"SecretCamera", str(photos).encode(), b"again", b"inner", b".png", b"EXIF", b"Exif"):
            assert word not in data, path
    assert not any(path.suffix == ".png" for path in looked.path.parent.rglob("*"))


# when it is done again


def test_what_is_fresh_stays_and_what_changed_is_done_again(context, photos):
    first = find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    watcher = Quiet()
    assert not first.was_fresh
    assert find_examples(context, walk_folder(photos, print), watcher, rows=4).was_fresh
    assert watcher.counts == []
    assert not find_examples(context, walk_folder(photos, print), Quiet(), rows=4, force=True).was_fresh

    path = master_path(context.results.config.store, context.results.weights, feature_jobs(context.results.config)[1])
    image, record = open_master(path)
    pixels = bytes(255 - value for value in image.tobytes())
    write_master(path, pixels, replace(record, pixels_sha256=pixels_sha256(pixels)))
    other = find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    assert not other.was_fresh
    assert other.found.features[1].own.score != first.found.features[1].own.score

    crops = sorted((first.path.parent / "crops").iterdir())
    crops[0].unlink()
    assert not find_examples(context, walk_folder(photos, print), Quiet(), rows=4).was_fresh
    assert crops[0].is_file()

    master_path(context.results.config.store, context.results.weights, feature_jobs(context.results.config)[0]).unlink()
    fewer = find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    assert (fewer.was_fresh, len(fewer.found.features)) == (False, len(first.found.features) - 1)

    first.path.write_text("{")
    assert not find_examples(context, walk_folder(photos, print), Quiet(), rows=4).was_fresh


def test_crops_of_pictures_that_are_gone_go_too(context, photos, tmp_path):
    first = find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    before = {path.name for path in (first.path.parent / "crops").iterdir()}
    (tmp_path / "few").mkdir()
    kept = (photos / "01.png").read_bytes()
    (tmp_path / "few" / "a.png").write_bytes(kept)
    second = find_examples(context, walk_folder(tmp_path / "few", print), Quiet(), rows=4)
    after = {path.name for path in (first.path.parent / "crops").iterdir()}
    assert after == crop_files(second.found.features)
    assert before - after
    hashes = {crop.picture for one in second.found.features for crop in one.crops}
    assert hashes == {hashlib.sha256(kept).hexdigest()}


def test_of_very_many_pictures_the_activations_of_some_are_kept(context, photos, monkeypatch):
    """So memory is bounded; the top crops are those of all."""
    monkeypatch.setattr(scan_module, "MOST_COMPARED", 3)
    found = find_examples(context, walk_folder(photos, print), Quiet(), rows=4).found
    assert (found.seen, found.compared) == (PICTURES, 3)
    for one in found.features:
        assert sum(one.counts) == 3
        assert one.own.reached <= 3
    assert max(len(one.crops) for one in found.features) == KEPT


# which renderings are compared


def with_recipe(context, name, size):
    """The configuration with one more recipe, like its own at another size."""
    config = context.results.config
    small = config.get_recipe("small")
    other = replace(small, name=name, octaves=(replace(small.octaves[0], size=size),))
    return replace(config, recipes={**config.recipes, name: other})


def found_by(context, config, photos):
    """The examples of a configuration whose renderings are all made."""
    for batches in rounds(studies.all_jobs(config), "cpu", 1):
        run_batches(batches, context.renderer, config.store, Report())
    there = MeasureContext(Results(config, context.results.weights), context.renderer)
    return find_examples(there, walk_folder(photos, print), Quiet(), rows=4).found


def test_first_features_may_be_larger(context, photos):
    config = replace(with_recipe(context, "large", OWN_SIZE + 10), large="large", large_features=1)
    found = found_by(context, config, photos)
    assert [one.own.recipe for one in found.features] == ["large", "small", "small"] * len(config.layers)


def test_pictures_by_other_recipes_are_compared_too(context, photos):
    config = with_recipe(context, "plain", OWN_SIZE + 6)
    compare = replace(config.study(CompareSettings), recipes=("plain", "small"), beside=(), raw_features=1)
    found = found_by(context, config.with_study(compare), photos)
    by_feature = [[placed.recipe for placed in one.renderings] for one in found.features]
    assert by_feature == [["small", "plain"], ["small"], ["small"]] * len(config.layers)
    for one in found.features:
        assert len({placed.pixels for placed in one.renderings}) == len(one.renderings)


# what cannot be read


def test_unreadable_files_are_skipped_with_a_line_each(context, photos, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.png").write_bytes((photos / "01.png").read_bytes())
    (folder / "b.png").write_bytes((photos / "02.png").read_bytes()[:700])
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("1", (20000, 20000)).save(folder / "bomb.png")
    (folder / "broken.jpg").symlink_to("nowhere")
    (folder / "circle").symlink_to(folder)
    watcher = Quiet()
    looked = find_examples(context, walk_folder(folder, watcher.skips), watcher, rows=4)
    assert [line.partition(":")[0].rpartition("/")[2] for line in watcher.lines] == [
        "broken.jpg",
        "empty.jpg",
        "b.png",
        "bomb.png",
        "notes.txt",
    ]
    assert (looked.found.seen, looked.found.skipped) == (1, 5)
    assert watcher.counts[:2] == [(0, 4), (4, 4)], "an empty file is not even asked for"


def test_without_a_picture_or_a_rendering_there_is_nothing_to_do(context, photos, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no picture could be read"):
        find_examples(context, walk_folder(tmp_path / "none", print), Quiet())
    with pytest.raises(ConfigError, match="no such folder"):
        walk_folder(tmp_path / "missing", print)
    with pytest.raises(ConfigError, match="is no folder"):
        walk_folder(photos / "01.png", print)
    bare = replace(context.results.config, store=tmp_path / "bare")
    with pytest.raises(ConfigError, match="render first"):
        find_examples(
            MeasureContext(Results(bare, context.results.weights), context.renderer),
            walk_folder(photos, print),
            Quiet(),
        )


def test_a_file_that_changes_meanwhile_is_not_mistaken_for_itself(photos, tmp_path):
    (tmp_path / "a.png").write_bytes((photos / "01.png").read_bytes())
    source = walk_folder(tmp_path, print)
    (tmp_path / "a.png").write_bytes((photos / "02.png").read_bytes())
    with pytest.raises(ConfigError, match="changed during"):
        source.open(next(iter(source.pictures)))


def test_a_huge_file_is_not_read(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures_module, "LARGEST_FILE", 10)
    (tmp_path / "a.png").write_bytes((photos / "01.png").read_bytes())
    lines = []
    assert not walk_folder(tmp_path, lines.append).pictures
    assert "bytes, and at most 10 are read" in lines[0]


def test_what_is_no_picture_is_passed_over_with_a_line_each_and_not_hashed(photos, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes((photos / "01.png").read_bytes())
    for name in ("empty.jpg", "empty.png"):
        (tmp_path / name).touch()
    (tmp_path / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + b"\0" * 10_000)
    monkeypatch.setattr(pictures_module, "LARGEST_FILE", (tmp_path / "a.png").stat().st_size)
    lines = []
    source = walk_folder(tmp_path, lines.append)
    assert [path.name for path in source.pictures.values()] == ["a.png"]
    assert source.unread == 3
    assert [line.removeprefix(f"{tmp_path}/") for line in lines] == [
        "clip.mov: a video, which this program does not read: save one of its frames as PNG",
        "empty.jpg: an empty file: copy it again",
        "empty.png: an empty file: copy it again",
    ]


def test_the_network_sees_colours_as_people_do(tmp_path):
    plain = drawn(3)
    icc.in_colours_of(plain, icc.P3).save(tmp_path / "wide.png", icc_profile=icc.P3)
    source = walk_folder(tmp_path, print)
    seen = np.asarray(source.open(next(iter(source.pictures)))).astype(int)
    assert abs(seen - np.asarray(plain)).max() <= 4


def test_examples_of_files_that_were_read_otherwise_are_not_fresh(context, photos, monkeypatch):
    source = walk_folder(photos, print)
    find_examples(context, source, Quiet(), rows=4)
    assert find_examples(context, source, Quiet(), rows=4).was_fresh
    monkeypatch.setattr(study, "COLOURS", "as they are")
    assert not find_examples(context, source, Quiet(), rows=4).was_fresh


def test_memory_that_runs_out_halves_the_batch_down_to_one(context, photos, monkeypatch):
    asked = []

    def fail(*arguments):
        asked.append(arguments[4])
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(study, "scan_pictures", fail)
    with pytest.raises(ConfigError, match="one picture at a time: say a smaller --size"):
        find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    assert asked == [4, 2, 1]


# pictures


def test_the_middle_square_is_what_the_network_sees():
    wide = Image.new("RGB", (300, 100))
    wide.paste((255, 0, 0), (100, 0, 200, 100))
    inside = square_of(wide, 50).crop((3, 0, 47, 50))  # at its edges the filter sees what is beside the square
    assert inside.getcolors() == [(44 * 50, (255, 0, 0))]
    assert square_of(Image.new("RGB", (1, 1), (1, 2, 3)), 75).getcolors() == [(75 * 75, (1, 2, 3))]


def test_drawn_pictures_are_two_of_each_class_and_always_the_same():
    one, two = draw_pictures(75), draw_pictures(75)
    assert len(one.pictures) == 2 * len(CLASSES)
    assert list(one.pictures) == list(two.pictures)
    assert one.open(list(one.pictures)[3]).size == (75, 75)


# words


def example(score, crops):
    own = Placed("small", "", (0, 0), score, 0, (0.0, 0.1))
    return FeatureExamples("Mixed_5b[0]", (own,), tuple(Crop("", (0, 0), s, (0, 0, 1, 1), "", (1, 1)) for s in crops))


def feature_sentence(own, seen):
    return render_macro(WORDS, "feature", own, True, seen)


def unraised_sentence(own):
    return render_macro(WORDS, "feature", own, False, 40)


def examples_sentence(features, seen, others):
    """Of features in one layer, of which so many others are left out."""
    return render_macro(WORDS, "summary", [count_wins(features) | {"left_out": others}], seen)


def test_sentences_of_a_feature():
    assert feature_sentence(example(3, [2, 1]), 40).endswith("the top crop to 2: stronger than any crop.")
    assert "weaker than the top crop" in feature_sentence(example(2, [2, 1]), 40)
    assert "weaker than the top crop" in feature_sentence(example(0, [2, 1]), 40)
    assert "none of 40 pictures activates any neuron" in feature_sentence(example(3, []), 40)


def test_sentence_of_all():
    features = (example(3, [2]), example(1, [2]), example(3, []))
    assert examples_sentence(features[:2], 4000, 0).startswith("For 1 of 2 features")
    assert examples_sentence(features[:2], 4000, 0).endswith("any of 4,000 pictures does.")
    assert examples_sentence(features, 1, 0).endswith("1 other is activated by no picture.")


def test_a_picture_that_was_not_raised_is_no_rival_of_crops():
    """On ImageNet weights 25 of 141 pictures were not raised: noise that crops beat said nothing about descent."""
    assert examples_sentence((example(3, [2]),), 110, 25).endswith(
        "25 features are left out: the optimised picture had no gradient or was not raised."
    )
    words = unraised_sentence(example(0, [2, 1]))
    assert words.endswith("so it is not compared. The top crop activates a neuron to 2.")
    assert "beat" not in words
    assert unraised_sentence(example(0, [])).endswith("so it is not compared.")


# the site


def site_of(context, **changes):
    config = context.results.config
    config = config.with_study(replace(config.study(ExamplesSettings), **changes))
    return config.site, build_site(config, context.results.weights, studies.pages())


@pytest.fixture(scope="module")
def site(made):
    return site_of(made[0])[0]


def words_of(file):
    """A page in one line, with single spaces; others, which do not break, stay."""
    return re.sub("[ \n]+", " ", file.read_text())


def test_the_site_is_whole_and_shows_nine_crops(made, site):
    assert check_site(site).faults == ()
    results, everyone = made[0].results, made[1].found.features
    raised = [one for one, job in zip(everyone, feature_jobs(results.config), strict=True) if results.is_raised(job)]
    for one in everyone:
        layer, feature = re.fullmatch(r"(\w+)\[(\d+)\]", one.target).groups()
        page = words_of(site / layer / feature / "index.html")
        section = page[page.index('id="crops"') :].split("</section>")[0]
        assert section.count("<figure") == len(one.crops)
        assert (feature_sentence(one, PICTURES) if one in raised else unraised_sentence(one)) in section
        assert f"at {SIZE}\xa0px (the optimised picture: {OWN_SIZE}\xa0px): mine." in section
    page = words_of(site / "examples/index.html")
    assert examples_sentence(tuple(raised), PICTURES, len(everyone) - len(raised)) in page
    assert f"of each at {SIZE}\xa0px, and an optimised picture at its own {OWN_SIZE}\xa0px" in page
    assert page.count('<th scope="row">') == 4
    assert 'href="examples/index.html"' in (site / "index.html").read_text()


def test_nothing_but_crops_enters_the_site(made, site, photos):
    """No file of the folder, no larger picture of it, no hash of it, and not where it was."""
    crops = crop_files(made[1].found.features)
    pictures = {path.name for path in (site / "examples").iterdir()} - {"index.html"}
    assert pictures == {crop.replace("webp", ending) for crop in crops for ending in ("avif", "jpg")}
    files = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.rglob("*.png")]
    for path, data in files.items():
        assert path.suffix not in (".webp", ".png")
        for secret in (*hashes, "SecretCamera", str(photos), "inner/"):
            assert secret.encode() not in data, path
    for path in (site / "examples").glob("*.jpg"):
        with Image.open(path) as image:
            assert max(image.size) <= 160
            assert not image.getexif()


def test_small_crops_are_enlarged_by_whole_numbers(site, made):
    first = made[1].found.features[0].crops[0]
    assert first.size == (3, 3)
    with Image.open(site / "examples" / first.file.replace("webp", "jpg")) as image:
        assert image.size == (96, 96)
    page = (site / "Conv2d_1a_3x3/0/index.html").read_text()
    assert 'width="96" height="96"' in page[page.index('id="crops"') :]


@pytest.mark.parametrize("changes", [{"show": False}, {"folder": DRAWN}, {"folder": None}])
def test_only_what_the_configuration_wants_is_shown(context, photos, changes):
    """Crops of a person's folder are not shown as drawn pictures, nor where no pictures are named."""
    find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    site, _ = site_of(context)
    assert (site / "examples").is_dir()
    site, _ = site_of(context, **changes)
    assert not (site / "examples").exists()
    assert all('id="crops"' not in path.read_text() for path in site.rglob("*.html"))


def test_crops_of_another_folder_are_not_shown(context, photos, tmp_path):
    """Not of a folder inside the one that is named, not of one that holds the same files; but under another name."""
    shutil.copytree(photos, tmp_path / "copy")
    (tmp_path / "link").symlink_to(photos)
    looked = {}
    for name, folder in {"inner": photos / "inner", "copy": tmp_path / "copy", "link": tmp_path / "link"}.items():
        looked[name] = find_examples(context, walk_folder(folder, print), Quiet(), rows=4)
        site, _ = site_of(context)
        assert (site / "examples").exists() == (name == "link"), name
    assert not any(one.was_fresh for one in looked.values())
    assert looked["copy"].found.features == looked["link"].found.features
    for place in (photos, tmp_path / "link"):
        assert str(place) not in looked["link"].path.read_text()


def test_a_store_may_move_with_its_pictures(context, photos, tmp_path):
    pictures, store = tmp_path / "pictures", context.results.config.store
    shutil.copytree(photos / "inner", pictures)
    find_examples(context, walk_folder(pictures, print), Quiet(), rows=4)
    (tmp_path / "moved").mkdir()
    for folder in (pictures, store):
        folder.rename(tmp_path / "moved" / folder.name)
    config = replace(context.results.config, store=tmp_path / "moved" / "store")
    moved = MeasureContext(Results(config, context.results.weights), context.renderer)
    assert (site_of(moved, folder=tmp_path / "moved" / "pictures")[0] / "examples").is_dir()
    assert not (site_of(moved, folder=pictures)[0] / "examples").exists()


def test_a_feature_whose_crops_are_not_whole_shows_none(context, photos):
    looked = find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    first, last = looked.found.features[0], looked.found.features[-1]
    (looked.path.parent / "crops" / first.crops[0].file).unlink()
    edited = looked.path.parent / "crops" / last.crops[0].file
    Image.new("RGB", (5, 5)).save(edited, "WEBP", lossless=True)
    faults = check_store(context.results.config.store, studies.pages())
    assert any(first.crops[0].file in fault for fault in faults)
    assert any(last.crops[0].file in fault for fault in faults)
    site, report = site_of(context)
    assert any(first.crops[0].file in line for line in report.damaged)
    assert any(last.crops[0].file in line for line in report.damaged)
    assert 'id="crops"' not in (site / "Conv2d_1a_3x3/0/index.html").read_text()
    assert 'id="crops"' in (site / "Mixed_5b/0/index.html").read_text()
    assert check_site(site).faults == ()


def test_a_picture_that_was_rendered_anew_shows_no_old_comparison(context, photos):
    find_examples(context, walk_folder(photos, print), Quiet(), rows=4)
    config = context.results.config
    other = replace(config, seed=7)
    for batches in rounds(feature_jobs(other)[:1], "cpu", 1):
        run_batches(batches, context.renderer, config.store, Report(), lambda outcome: None)
    context = MeasureContext(Results(other, context.results.weights), context.renderer)
    site, _ = site_of(context)
    assert 'id="crops"' not in (site / "Conv2d_1a_3x3/0/index.html").read_text()


# the command


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_keeps_and_says_what_it_kept(weights_file, photos, tmp_path):
    read(tmp_path, weights_file)
    config = tmp_path / "atlas.toml"
    assert run("render", "--config", config, "--features-only").exit_code == 0
    result = run("examples", photos, "--config", config, "--batch-size", "4", "--features", "2")
    assert result.exit_code == 0
    path = result.stdout.strip()
    assert path.endswith("examples/examples.json")
    assert re.search(r"scanned 14 pictures; kept crops for (\d+) of \1 rendered features", result.stderr)
    assert "the site does not show them" in result.stderr
    again = run("examples", photos, "--config", config, "--features", "2")
    assert "(up to date)" in again.stderr
    assert run("check", "--config", config, "--store", tmp_path / "store").exit_code == 0
    both = run("examples", photos, "--drawn", "--config", config)
    assert (both.exit_code, "exclude each other" in both.output) == (2, True)
    none = run("examples", "--config", config)
    assert (none.exit_code, "name a folder" in none.output) == (2, True)
    missing = run("examples", tmp_path / "missing", "--config", config)
    assert (missing.exit_code, "no such folder" in missing.output) == (2, True)
    assert "Traceback" not in both.output + none.output + missing.output


def test_the_command_says_whether_the_site_shows_what_it_kept(weights_file, photos, tmp_path, monkeypatch):
    """Wherever the command runs, a folder is the one that the configuration means, whether it is spelled so or not."""
    config = tmp_path / "home" / "atlas.toml"
    shutil.copytree(photos / "inner", config.parent / "mine")
    monkeypatch.setenv("HOME", str(config.parent))
    monkeypatch.chdir(tmp_path)
    choice = ("--config", config, "--layers", "Conv2d_1a_3x3", "--features", "2")
    for named in ("mine", "~/mine"):
        read(config.parent, weights_file, f'folder = "{named}"\nshow = true')
        run("render", *choice, "--features-only")
        for pictures, is_shown in {photos / "inner": False, "home/mine": True, "--drawn": False}.items():
            words = run("examples", pictures, *choice).stderr
            assert ("\natlas site shows them" in words) == is_shown, (named, pictures)
            assert ("the site does not show them" in words) != is_shown
            assert run("site", *choice).exit_code == 0
            assert (config.parent / "site" / "examples").exists() == is_shown, (named, pictures)


def test_a_build_looks_at_drawn_pictures(made, weights_file, tmp_path, monkeypatch):
    """As `make demo` does; a folder that is not there is refused before anything is rendered."""
    monkeypatch.setattr(pictures_module, "CLASSES", CLASSES[:3])
    config = read(tmp_path, weights_file, 'folder = "drawn"\nshow = true\ntitle = "drawn by this project"')
    from atlas.cli.console import RunConsole

    with RunConsole() as console:
        pipeline.build(replace(config, layers=("Conv2d_1a_3x3",)), RunOptions(device="cpu"), console)
    found = read_examples(config.store, made[0].results.weights.__class__(**_weights_of(config.store)))
    assert (found.folder, found.seen, len(found.features)) == (None, 6, 3)
    assert "drawn by this project" in (config.site / "Conv2d_1a_3x3/1/index.html").read_text()
    missing = replace(config.study(ExamplesSettings), folder=tmp_path / "missing")
    refused = replace(config.with_study(missing), store=tmp_path / "no")
    with RunConsole() as console, pytest.raises(ConfigError, match="no such folder"):
        pipeline.build(refused, RunOptions(device="cpu"), console)
    assert not (tmp_path / "no").exists()


def test_pictures_that_cannot_be_looked_at_cost_a_build_neither_site_nor_report(weights_file, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "note.jpg").write_text("no picture")
    config = read(tmp_path, weights_file, f'folder = "{tmp_path / "pictures"}"')
    from atlas.cli.console import RunConsole

    with RunConsole() as console:
        built = pipeline.build(replace(config, layers=("Conv2d_1a_3x3",)), RunOptions(device="cpu"), console)
    assert built.unmeasured[0].startswith("examples: ")
    assert (config.site / "Conv2d_1a_3x3/1/index.html").is_file()


def _weights_of(store):
    (note,) = store.glob("*/weights.json")
    return json.loads(note.read_text())


# the configuration


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("folder = 3", "must be a string"),
        ("size = 74", "from 75 to 1200"),
        ("size = 1201", "from 75 to 1200"),
        ('show = "yes"', "must be true or false"),
        ('title = " "', "must not be empty"),
    ],
)
def test_mistakes_are_named(tmp_path, more, words):
    (tmp_path / "atlas.toml").write_text(f"[examples]\n{more}\n")
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_config(str(tmp_path / "atlas.toml"))


def test_presets(tmp_path):
    article, demo = (load_config(name).study(ExamplesSettings) for name in ("article", "demo"))
    assert (article.folder, article.size, article.show) == (None, 299, False)
    assert (demo.folder, demo.show) == (DRAWN, True)
    (tmp_path / "atlas.toml").write_text('extends = "demo"\n[examples]\nfolder = "mine"\n')
    mine = load_config(str(tmp_path / "atlas.toml")).study(ExamplesSettings)
    assert mine.folder == tmp_path / "mine"
    (tmp_path / "atlas.toml").write_text('extends = "demo"\n[examples]\nfolder = ""\n')
    none = load_config(str(tmp_path / "atlas.toml")).study(ExamplesSettings)
    assert none.folder is None


# what files say of people

NEEDLE = "xXSomebodyXx"
PRIVATE = """
[atlas]
weights = {weights!r}
store = "store"
site = "site"
[features]
layers = ["Conv2d_1a_3x3"]
count = 1
recipe = "small"
[recipes.small]
gradient = "rms"
octaves = [{{ size = 76, steps = 1, lr = [0.1, 0.05] }}]
[dream]
photos = {photos}
targets = ["Conv2d_1a_3x3[:]"]
recipe = "small"
[examples]
folder = "pictures"
size = 80
show = true
"""


def save_private(folder):
    """Pictures that name somebody in every kind of data that Pillow can write beside pixels."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = exif[0x8298] = NEEDLE  # description, artist, copyright
    exif[0x0132] = "2021:03:04 05:06:07"
    exif.get_ifd(0x8769)[0x9286] = NEEDLE.encode()
    exif.get_ifd(0x8825)[0x1D] = NEEDLE  # GPS
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{NEEDLE}</x:xmpmeta>'.encode()
    both = {"icc_profile": icc.p3_that_says(NEEDLE), "exif": exif}
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", NEEDLE)
    text.add_text("Comment", NEEDLE, zip=True)
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    settings = {
        "jpg": {"xmp": xmp, "comment": NEEDLE.encode(), **both},
        "png": {"pnginfo": text, **both},
        "webp": {"xmp": xmp, **both},
        "avif": {"xmp": xmp, **both},
        "tif": {"tiffinfo": {315: NEEDLE, 270: NEEDLE, 700: xmp}, "icc_profile": both["icc_profile"]},
        "gif": {"comment": NEEDLE.encode()},
        "jp2": {"comment": NEEDLE},
    }
    for at, (ending, more) in enumerate(settings.items()):
        drawn(at).save(folder / f"{at}.{ending}", **more)
    return sorted(folder.iterdir())


def says(data):
    """Whether bytes hold the needle, packed or not, in any of the codings in which text is kept."""
    packed = []
    if data.startswith(b"\x89PNG"):
        at = 8
        while at < len(data):
            length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
            chunk = data[at + 8 : at + 8 + length]
            if kind in (b"iCCP", b"zTXt"):
                packed.append(zlib.decompress(chunk[chunk.index(b"\0") + 2 :]))
            at += 12 + length
    codings = ("ascii", "utf-16-be", "utf-16-le")
    return any(NEEDLE.encode(coding) in part for part in (data, *packed) for coding in codings)


def test_nothing_that_a_picture_says_of_its_maker_is_kept_or_published(weights_file, tmp_path):
    from atlas.cli.console import RunConsole

    (tmp_path / "pictures").mkdir()
    files = save_private(tmp_path / "pictures")
    for file in files:
        assert says(file.read_bytes()), file
    text = PRIVATE.format(weights=str(weights_file), photos=[f"pictures/{file.name}" for file in files])
    (tmp_path / "atlas.toml").write_text(text)
    config = identify_photos(load_config(str(tmp_path / "atlas.toml")), print)
    config = config.only_features().with_study(config.study(DreamsSettings), config.study(ExamplesSettings))
    with RunConsole() as console:
        built = pipeline.build(config, RunOptions(device="cpu"), console)
    assert built.unmeasured == ()
    assert len(list((tmp_path / "site").rglob("before.avif"))) == len(files)
    assert len(list((tmp_path / "site" / "examples").glob("*.avif"))) == len(files)
    for path in (*(tmp_path / "store").rglob("*"), *(tmp_path / "site").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            assert not says(data), path
            assert b"2021:03:04" not in data
            assert path.suffix not in (".png", ".avif", ".jpg", ".webp") or not has_profile(path), path


def has_profile(path):
    with Image.open(path) as image:
        return "icc_profile" in image.info
