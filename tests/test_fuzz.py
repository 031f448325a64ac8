"""Whatever text or file from elsewhere is read, nothing but an error that is meant for people comes out.

Each test says its share of 11,000 inputs, which are the same in every run, so that a red one is due to a change. With
`ATLAS_TORTURE=1`, as `make torture` sets it, there are a hundred times as many, and new ones in every run.
"""

import binascii
import json
import os
import struct
import tomllib
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from PIL import Image

from atlas.common.errors import AtlasError, ConfigError
from atlas.inception.layers import ALL_LAYERS, FC
from atlas.inception.targets import WHOLE, Neuron, Prefix, Row, Target, Term, parse
from atlas.plan import config as configuration
from atlas.plan.config import Config
from atlas.site.catalogue import PlannedRendering
from atlas.site.output import MANIFEST, Output
from atlas.site.pages.progress import score_chart
from atlas.site.words import number
from atlas.store.clips import ClipRecord
from atlas.store.importance import importance_path, write_importance
from atlas.store.masters import find_record, open_master, read_record, write_master
from atlas.store.media import media_fault
from atlas.store.records import Record, read_json
from atlas.store.results import read_result, write_result
from atlas.store.sidecars import is_sidecar_of, named_pixels
from atlas.store.stages import stages_path, write_stages
from atlas.store.weights_ids import read_weights_id
from atlas.studies import load_config
from atlas.studies.compare.result import COMPARE, raw_spec
from atlas.studies.connections.result import connections_spec, wiring_spec
from atlas.studies.depth.result import DEPTH, layer_depth_spec
from atlas.studies.examples import result as examples
from atlas.studies.fields.result import fields_spec
from atlas.studies.influence.result import INFLUENCE
from atlas.studies.interactions.result import INTERACTIONS, matrix_spec
from atlas.studies.map.result import FEATURE_MAP
from atlas.studies.metrics.result import METRICS
from atlas.studies.nearest.result import NEAREST, described_spec
from atlas.studies.neurons.result import NEURONS
from atlas.studies.palette.result import palette_spec
from atlas.studies.seeds.result import SEEDS
from atlas.studies.tuning.result import TUNING
from atlas.studies.votes.result import VOTES, WEIGHED
from test_store import JOB, PIXELS, RECORD

pytestmark = pytest.mark.torture
TORTURE = bool(os.environ.get("ATLAS_TORTURE"))


def inputs(count):
    """Settings for so many inputs in CI, and a hundred times as many in full."""
    return settings(
        max_examples=count * (100 if TORTURE else 1),
        derandomize=not TORTURE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# Text

counts = st.integers(0, 10**6)
positions = st.one_of(st.just(WHOLE), counts.map(Row), st.builds(Neuron, counts, counts), counts.map(Prefix))
coefficients = st.floats(allow_nan=False, allow_infinity=False).filter(bool)


@st.composite
def terms(draw):
    layer, coefficient = draw(st.sampled_from(ALL_LAYERS)), draw(st.just(1.0) | coefficients)
    if layer.name == FC:
        return Term(FC, draw(st.integers(0, layer.features - 1)), WHOLE, coefficient)
    feature = draw(st.none() | st.integers(0, layer.features - 1))
    return Term(layer.name, feature, draw(positions), coefficient)


targets = st.lists(terms(), min_size=1, max_size=4).map(tuple).map(Target)
sizes = st.integers(75, 600)


@inputs(1500)
@given(targets, sizes, sizes)
def test_a_target_printed_and_parsed_is_itself(target, height, width):
    found = parse(str(target))
    assert (found, found.slug) == (target, target.slug)
    try:
        found.check_positions((height, width))
    except AtlasError as error:
        assert str(error)


PIECES = ["Mixed_6b", "Conv2d_1a_3x3", "mixed_6b", "[", "]", ":", ",", "+", "*", "-", " ", "0", "17", "768", "1e999"]
PIECES += ["0.5", "9" * 30, "٣", "\0", "\n", "../", "é", "𝟙", "e", ".", "nan", "inf", "_"]
pieces = st.sampled_from(PIECES)
notation = st.lists(pieces, max_size=14).map("".join) | st.builds(
    lambda target, at, piece: str(target)[:at] + piece + str(target)[at:], targets, st.integers(0, 60), pieces
)


@inputs(2000)
@given(notation | st.text(max_size=60))
def test_any_text_is_a_target_that_prints_itself_or_an_error(text):
    try:
        found = parse(text)
    except AtlasError as error:
        assert 0 < len(str(error)) < 600
    else:
        assert parse(str(found)) == found
        assert "/" not in found.slug
        assert not found.slug.startswith(".")


# Configurations

HOSTILE = ["", " ", "\0", "..", "../../etc/passwd", "~nobody-here/x", "~", "/", "a" * 5000, "<script>", "{{ 7*7 }}"]
HOSTILE += ["%s%n", "\x1b[2J", "‮", "é" * 300, "-1", "1e999", "Mixed_6b[1]", "Mixed_6b[:]", "all", "0-5", "9-1"]
HOSTILE += [
    "raster",
    "octaves",
    "https://[x",
    "http://a b",
    "//x",
    "con",
    "C:\\x",
    "a\nb",
    "\ud7ff",
    "imagenet",
    "drawn",
]
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 75, 10**20, 2**63, 10**400]),
    st.floats(),
)
values = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*HOSTILE, "size"]), inner, max_size=2),
    max_leaves=4,
)
PRESET_FILES = [Path(configuration.__file__).parent / "presets" / f"{name}.toml" for name in configuration.PRESETS]
PRESET_TEXTS = [file.read_bytes() for file in PRESET_FILES]
PRESET_DATA = [tomllib.loads(text.decode()) for text in PRESET_TEXTS]


def places(data, path=()):
    """The path of every value in nested tables and lists."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def replaced(data, path, value):
    """The data with the value at a path replaced."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def to_toml(value):
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {to_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text):
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


PLACES = [(data, path) for data in PRESET_DATA for path in places(data)]


def load(file, text):
    """Load a configuration of these bytes; an error names the file."""
    file.write_bytes(text)
    try:
        assert isinstance(load_config(str(file)), Config)
    except AtlasError as error:
        assert str(file) in str(error) or "preset" in str(error)
        assert len(str(error)) < 2000


@inputs(1200)
@given(st.sampled_from(PLACES), values)
def test_a_configuration_with_any_value_replaced_loads_or_says_why(tmp_path_factory, place, value):
    data = replaced(place[0], place[1], value)
    text = "".join(f"{quoted(key)} = {to_toml(inner)}\n" for key, inner in data.items())
    load(tmp_path_factory.getbasetemp() / "replaced.toml", text.encode())


@st.composite
def mutated(draw, whole):
    """Bytes with a few places cut out, written over or doubled."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(data))), draw(st.sampled_from([0, 1, 1, 2, 4, 16, 10**6]))
        data[at : at + length] = draw(st.binary(max_size=6) | st.just(bytes(data[at : at + length]) * 2))
    return bytes(data)


@inputs(800)
@given(mutated(st.sampled_from(PRESET_TEXTS)))
def test_a_configuration_of_mutated_bytes_loads_or_says_why(tmp_path_factory, text):
    load(tmp_path_factory.getbasetemp() / "mutated.toml", text)


HUGE = ["0x" + "f" * 6000, "9" * 5000, "[0x" + "f" * 6000 + "]", "1979-05-27", "nan", "[[" * 3000]
PATHS = ["~nobody-here/x", "a" * 300, "b/" * 3000, "a\\u0000b", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[{table}]\n{key} = {value}", "hostile.toml")
        for table, key in [("atlas", "seed"), ("features", "count")]
        for value in HUGE
    ]
    + [(f'[atlas]\n{key} = "{path}"', key) for key in ("store", "site", "weights") for path in PATHS]
    + [(f'[dream]\nphotos = ["{path}"]', "dream.photos") for path in PATHS]
    + [(f'[examples]\nfolder = "{path}"', "examples.folder") for path in PATHS if path],
)
def test_numbers_and_paths_that_no_machine_takes_are_refused(text, words, tmp_path):
    file = tmp_path / "hostile.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(str(file))
    assert "hostile.toml" in str(caught.value)
    assert len(str(caught.value)) < 700


# What a store holds

UNWRITABLE = ["\ud800", "a\udfffb", 10**400, -(10**400), 2**64, 1e308, -1e308]  # read by Python, and not to be written
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(HOSTILE)
    | st.sampled_from(UNWRITABLE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RECORD_DATA = json.loads(RECORD.to_json())
CLIP_DATA = {
    "target": "Mixed_6b[654]",
    "recipe_name": "raster",
    "recipe_digest": "ab" * 4,
    "seed": 999,
    "weights_sha256": "ab" * 32,
    "stride": 1,
    "fps": 17,
    **{name: [4, 4] for name in ("grid", "cells", "frame_size", "video_size", "sheet_size")},
    "encoder": "x",
    "source": "y",
    "files": {name: {"bytes": 1, "sha256": "00"} for name in ("video.mp4", "poster.jpg", "sheet.avif", "sheet.jpg")},
    "format": 1,
}


def changed(data):
    """The data with one or two values replaced, anywhere inside."""
    one = st.tuples(st.sampled_from(list(places(data))), json_values)

    def put(changes):
        found = data
        for path, value in changes:
            try:
                found = replaced(found, path, value)
            except (KeyError, IndexError, TypeError, ValueError):
                continue  # the first change took the place of the second away
        return found

    return st.lists(one, min_size=1, max_size=2).map(put)


@pytest.mark.parametrize(("kind", "data"), [(Record, RECORD_DATA), (ClipRecord, CLIP_DATA)], ids=["record", "clip"])
def test_a_record_with_any_value_replaced_is_read_or_refused(kind, data):
    assert read_json(json.dumps(data), kind)

    @inputs(900)
    @given(changed(data) | json_values)
    def check(found):
        text = json.dumps(found)
        try:
            record = read_json(text, kind)
        except AtlasError as error:
            assert str(error)
        else:
            assert read_json(record.to_json(), kind) == record  # so it can be written too
            assert record.to_json().encode()
            assert msgspec.json.encode(record)  # in the site, as beside its picture and in its words
            if kind is Record:
                assert all(map(number, [record.score_start, record.score_shown, record.gradient_norm]))
                score_chart(PlannedRendering(JOB, "", record))

    check()


def unwritable(data):
    """The data with one value, anywhere inside, that Python reads and no file can hold."""
    values = st.tuples(st.sampled_from(list(places(data))), st.sampled_from(["\ud800", 10**400, {"\udfff": 1}]))
    return values.map(lambda change: replaced(data, *change))


@pytest.mark.parametrize(("kind", "data"), [(Record, RECORD_DATA), (ClipRecord, CLIP_DATA)], ids=["record", "clip"])
def test_a_record_of_what_no_file_can_hold_is_refused(kind, data):
    @inputs(100)
    @given(unwritable(data))
    def check(found):
        with pytest.raises(AtlasError):
            read_json(json.dumps(found), kind)

    check()


@pytest.mark.parametrize("levels", [1, 21, 1000, 200_000])
def test_what_is_nested_more_deeply_than_a_record_is_refused_however_deep_the_reader_stands(levels):
    text = json.dumps({**RECORD_DATA, "recipe": {"lr": [0.5]}})
    assert read_json(text, Record).recipe == {"lr": [0.5]}
    with pytest.raises(AtlasError):
        read_json(text.replace("[0.5]", "[[" * levels + "]]" * levels), Record)


RESULTS = [
    DEPTH,
    INFLUENCE,
    INTERACTIONS,
    METRICS,
    NEAREST,
    NEURONS,
    COMPARE,
    SEEDS,
    TUNING,
    FEATURE_MAP,
    VOTES,
    WEIGHED,
]
RESULTS += [layer_spec("Mixed_6b") for layer_spec in (layer_depth_spec, raw_spec, wiring_spec, connections_spec)]
RESULTS += [layer_spec("Mixed_6b") for layer_spec in (described_spec, matrix_spec, fields_spec)]
RESULTS += [palette_spec("octaves")]


def test_a_result_is_of_its_kind_or_counts_as_none(tmp_path):
    path = tmp_path / "finding.json"
    kinds = [(spec.kind, msgspec.json.schema(spec.kind)) for spec in RESULTS]
    names = sorted({name for _, schema in kinds for part in schema["$defs"].values() for name in part["properties"]})
    found_values = st.recursive(
        json_values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=6),
        max_leaves=8,
    )

    @inputs(800)
    @given(st.sampled_from([kind for kind, _ in kinds]), found_values, st.booleans())
    def check(kind, value, is_cut):
        try:
            write_result(path, value, "x")
        except (UnicodeEncodeError, OverflowError):  # what no file can hold, and no measurement makes
            reject()
        if is_cut:
            path.write_text(path.read_text()[: path.stat().st_size // 2])
        found = read_result(path, kind, "x")
        if found is not None:
            assert isinstance(found, kind)
            write_result(path, found, "x")
            assert read_result(path, kind, "x") == found

    check()


@pytest.mark.parametrize("name", ["weights.json", "examples.json", MANIFEST])
def test_small_files_of_a_store_and_a_site_are_read_or_refused(name, tmp_path):
    path = tmp_path / name
    whole = {
        "weights.json": {"name": "trial", "sha256": "ab" * 32, "note": "made up"},
        "examples.json": {"inputs": "x", "found": {"version": 2, "folder": None, "features": []}, "sha256": "ab" * 32},
        MANIFEST: {"format": 1, "files": {"index.html": {}, "a/b.avif": {"bytes": 3, "source": "s"}}},
    }[name]
    read = {
        "weights.json": lambda: msgspec.json.encode(read_weights_id(path)),
        "examples.json": partial(read_result, path, examples.Examples, None),
        MANIFEST: partial(Output, tmp_path),
    }[name]
    data = json.dumps(whole).encode()

    @inputs(200)
    @given(mutated(st.just(data)) | (changed(whole) | unwritable(whole)).map(lambda value: json.dumps(value).encode()))
    def check(text):
        path.write_bytes(text)
        try:
            read()
        except AtlasError as error:
            assert str(path) in str(error)

    check()


# Pictures

chunks_of_text = st.sampled_from(
    [b"iTXt", b"tEXt", b"zTXt", b"eXIf", b"iCCP", b"gAMA", b"pHYs", b"acTL", b"fcTL", b"fdAT"]
)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))


def split_chunks(data):
    at, found = 8, []
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


@st.composite
def rewritten(draw, whole):
    """A PNG whose chunks are changed and have the right sums, so that a reader gets as far as what they say."""
    chunks = split_chunks(whole)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(chunks) - 1))
        kind, data = chunks[at]
        chunks[at] = (kind, draw(mutated(st.just(data))))
        if draw(st.booleans()):
            chunks.insert(at, (draw(chunks_of_text), draw(st.binary(max_size=40) | st.just(b"atlas\0\0\0\0\0{}"))))
    return whole[:8] + b"".join(chunk(kind, data) for kind, data in chunks)


def test_a_colour_profile_without_a_byte_is_damage(tmp_path):
    """Found by a long run: Pillow's reader looks beyond its end."""
    path = tmp_path / "master.png"
    write_master(path, PIXELS, RECORD)
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + chunk(b"iCCP", b"") + whole[-12:])
    with pytest.raises(AtlasError, match="damaged"):
        open_master(path)
    assert find_record(path, JOB, RECORD.weights, check_pixels=True) is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow speaks of animations that are none, and goes on
def test_a_master_of_mutated_bytes_is_whole_or_refused(tmp_path):
    path = tmp_path / "master.png"
    write_master(path, PIXELS, RECORD)
    whole = path.read_bytes()

    @inputs(1600)
    @given(mutated(st.just(whole)) | rewritten(whole))
    def check(data):
        path.write_bytes(data)
        for read in (read_record, open_master):
            try:
                read(path)
            except AtlasError as error:
                assert str(path) in str(error)
        if found := find_record(path, JOB, RECORD.weights, check_pixels=True):
            assert found.pixels_sha256 == RECORD.pixels_sha256

    check()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow speaks of what is wrong in EXIF, and goes on
@pytest.mark.parametrize("kind", ["stages", "importance"])
def test_what_lies_beside_a_master_with_mutated_bytes_is_of_its_picture_or_of_none(kind, tmp_path):
    master = tmp_path / "master.png"
    if kind == "stages":
        write_stages(master, [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")], RECORD)
        path, size = stages_path(master), (32, 16)
    else:
        write_importance(master, Image.linear_gradient("L").resize((16, 16)), RECORD)
        path, size = importance_path(master), (16, 16)
    whole = path.read_bytes()
    assert is_sidecar_of(path, RECORD, size)

    @inputs(300)
    @given(mutated(st.just(whole)))
    def check(data):
        path.write_bytes(data)
        assert not is_sidecar_of(path, RECORD, size) or named_pixels(path) == RECORD.pixels_sha256
        assert media_fault(path) in (None, "not a picture", "cut off")

    check()
