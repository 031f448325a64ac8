"""Masters: whole or not there, fresh by content, and found out when cut off or edited."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from atlas.common.errors import AtlasError, StoreError
from atlas.inception.targets import parse
from atlas.plan.jobs import Job
from atlas.store import masters
from atlas.store.files import write_atomically, write_if_changed
from atlas.store.records import LARGEST_NUMBER, FailedStep, Numerics, OctaveScores, Record, WeightsId, read_json
from atlas.store.weights_ids import find_weights_ids, weights_name, write_weights_id
from atlas.studies import load_config

WEIGHTS = WeightsId("trial", "ab" * 32, "made up")
JOB = Job(parse("Mixed_6b[654]"), load_config().recipes["octaves"].scaled(16, octave=-1), 999)
PIXELS = bytes(range(256)) * 3  # 16×16 RGB

RECORD = Record(
    target=str(JOB.target),
    recipe_name=JOB.recipe.name,
    recipe=JOB.recipe.as_dict(),
    recipe_digest=JOB.recipe.digest,
    start="noise",
    seed=999,
    weights=WEIGHTS,
    input="x",
    torch="2.15.0",
    torchvision="0.29.2",
    numerics=Numerics("cpu", "fp32", 4, 2),
    status="ok",
    failed_at=None,
    octaves=(OctaveScores(299, 0.1, 2.5), OctaveScores(340, None, 3.5)),
    score_start=0.1,
    score_shown=3.25,
    gradient_norm=1e-3,
    width=16,
    height=16,
    pixels_sha256=masters.pixels_sha256(PIXELS),
)


@pytest.fixture
def master(tmp_path):
    path = masters.master_path(tmp_path, WEIGHTS, JOB)
    masters.write_master(path, PIXELS, RECORD)
    return path


def test_path(tmp_path):
    path = masters.master_path(tmp_path, WEIGHTS, JOB)
    assert path == tmp_path / "trial-abababab" / f"octaves-{JOB.recipe.digest}" / "Mixed_6b_0654.png"


def test_picture_and_record_come_back(master):
    picture, record = masters.open_master(master)
    assert (picture.tobytes(), record) == (PIXELS, RECORD)
    assert masters.read_record(master) == RECORD


def test_the_same_rendering_is_the_same_file(master):
    before = master.read_bytes()
    masters.write_master(master, PIXELS, RECORD)
    assert master.read_bytes() == before


def test_a_fresh_master_is_found(master):
    assert masters.find_record(master, JOB, WEIGHTS, "fp32") == RECORD
    assert masters.find_record(master, JOB, WEIGHTS) == RECORD


@pytest.mark.parametrize(
    "wanted",
    [
        (Job(parse("Mixed_6b[653]"), JOB.recipe, 999), WEIGHTS, "fp32"),
        (Job(JOB.target, JOB.recipe.scaled(299, 9), 999), WEIGHTS, "fp32"),
        (Job(JOB.target, JOB.recipe, 998), WEIGHTS, "fp32"),
        (JOB, replace(WEIGHTS, sha256="cd" * 32), "fp32"),
        (JOB, WEIGHTS, "fp64"),
    ],
    ids=["target", "recipe", "seed", "weights", "precision"],
)
def test_mere_existence_is_not_freshness(wanted, master):
    assert masters.find_record(master, *wanted) is None


def test_a_master_cut_off_anywhere_is_not_fresh(master):
    whole = master.read_bytes()
    for length in {0, 1, 8, 30, 200, len(whole) // 2, len(whole) - 20, len(whole) - 1}:
        master.write_bytes(whole[:length])
        assert masters.find_record(master, JOB, WEIGHTS) is None, length
        with pytest.raises(StoreError, match="render it again"):
            masters.open_master(master)


def test_an_edited_master_is_found_out(master):
    with Image.open(master) as image:
        text = image.info["atlas"]
        image.load()
        edited = image.copy()
    edited.putpixel((3, 3), (0, 0, 0))
    info = PngImagePlugin.PngInfo()
    info.add_itxt("atlas", text)
    edited.save(master, pnginfo=info)
    with pytest.raises(StoreError, match="edited"):
        masters.open_master(master)


def test_a_picture_without_a_record_is_no_master(master):
    Image.new("RGB", (4, 4)).save(master)
    with pytest.raises(StoreError, match="carries no record"):
        masters.read_record(master)


def test_nothing_is_there_when_writing_fails(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="taken") as caught:
        write_atomically(tmp_path / "taken" / "x.png", b"123")
    assert "3 bytes" in str(caught.value)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StoreError, match=r"folder\.png"):
        write_atomically(tmp_path / "folder.png", b"123")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "taken"]


def test_writing_what_is_there_already_touches_nothing(tmp_path):
    file = tmp_path / "a" / "b.txt"
    assert write_if_changed(file, b"one")
    stamp = file.stat().st_mtime_ns, file.stat().st_ino
    assert not write_if_changed(file, b"one")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == stamp
    assert write_if_changed(file, b"two")
    assert file.read_bytes() == b"two"


def test_weights_ids_are_found_by_name_and_by_folder(tmp_path):
    other = replace(WEIGHTS, sha256="cd" * 32)
    for weights in (WEIGHTS, other, replace(WEIGHTS, name="else")):
        write_weights_id(tmp_path, weights)
    assert find_weights_ids(tmp_path, "trial") == [WEIGHTS, other]
    assert find_weights_ids(tmp_path, "trial-cdcdcdcd") == [other]
    (tmp_path / "trial-abababab" / "weights.json").write_text("{")
    assert find_weights_ids(tmp_path, "trial") == [other]
    (tmp_path / "trial-abababab" / "weights.json").write_text('{"name": "trial", "sha256": 5, "note": ""}')
    assert find_weights_ids(tmp_path, "trial") == [other]
    assert find_weights_ids(tmp_path / "nowhere", "trial") == []
    (tmp_path / other.folder).rename(tmp_path / "renamed-cdcdcdcd")
    assert find_weights_ids(tmp_path, "trial") == [], "its masters would be sought where they are not"


def test_the_name_of_a_folder_goes_before_the_stem_of_a_file(tmp_path):
    dotted, plain = replace(WEIGHTS, name="net.v2"), replace(WEIGHTS, name="net")
    for weights in (dotted, plain):
        write_weights_id(tmp_path, weights)
    assert find_weights_ids(tmp_path, "net.v2-abababab") == [dotted]
    assert find_weights_ids(tmp_path, "net.v2.pth") == [dotted]
    assert find_weights_ids(tmp_path, "net.pth") == [plain]


def test_a_file_that_is_there_counts_by_its_hash(tmp_path):
    file = tmp_path / "net.pth"
    file.write_bytes(b"one")
    right = WeightsId("net", hashlib.sha256(b"one").hexdigest(), "")
    for weights in (right, replace(WEIGHTS, name="net")):
        write_weights_id(tmp_path, weights)
    assert find_weights_ids(tmp_path, str(file)) == [right]
    file.write_bytes(b"two")
    assert find_weights_ids(tmp_path, str(file)) == []


def test_a_file_never_passes_for_built_in_weights():
    assert weights_name("imagenet.pth") == "imagenet-file"
    assert weights_name("demo.safetensors") == "demo-file"
    assert weights_name("imagenet") == "imagenet"


def test_names_of_weights_are_safe_in_paths(tmp_path):
    names = ["my net.pth", "../../x.pt", "a<b>.safetensors", ".pth", "ümlaut.pth", "v" * 300 + ".pt"]
    for name in names:
        safe = weights_name(name)
        assert safe
        assert len(safe) <= 60
        assert not set(safe) & set("/\\<> ")
        assert not safe.startswith(".")


def test_a_record_of_before_hardware_was_named_is_read_and_up_to_date(master):
    """Nobody's store is rendered again because records say more now."""
    data = json.loads(RECORD.to_json())
    assert {"model", "cudnn"} <= data["numerics"].keys()
    del data["numerics"]["model"], data["numerics"]["cudnn"]
    older = read_json(json.dumps(data), Record)
    assert older == replace(RECORD, numerics=replace(RECORD.numerics, model=None, cudnn=None))
    assert older.is_of(JOB, WEIGHTS, "fp32")
    newer = replace(RECORD, numerics=replace(RECORD.numerics, model="NVIDIA H200", cudnn="91002"))
    assert newer.is_of(JOB, WEIGHTS, "fp32")


@pytest.mark.parametrize("name", ["model", "cudnn"])
@pytest.mark.parametrize("value", [5, True, ["NVIDIA H100"], {}])
def test_hardware_of_another_type_is_refused(name, value):
    data = json.loads(RECORD.to_json())
    data["numerics"][name] = value
    with pytest.raises(StoreError, match=rf"not a record that this version reads: .*numerics\.{name}"):
        read_json(json.dumps(data), Record)


numbers = st.none() | st.floats(-LARGEST_NUMBER, LARGEST_NUMBER)
records = st.builds(
    replace,
    st.just(RECORD),
    seed=st.integers(0, 2**63 - 1),
    target=st.text(),
    numerics=st.builds(
        Numerics, st.text(), st.text(), st.just(4), st.just(2), st.none() | st.text(), st.none() | st.text()
    ),
    weights=st.builds(WeightsId, st.text(), st.text(), st.text()),
    status=st.sampled_from(["ok", "no_gradient", "not_raised", "failed"]),
    failed_at=st.none() | st.builds(FailedStep, st.integers(0, 9), st.integers(0, 999)),
    octaves=st.lists(st.builds(OctaveScores, st.integers(75, 999), numbers, numbers), max_size=3).map(tuple),
    score_shown=numbers,
)


@given(records)
def test_records_survive_json(record):
    assert read_json(record.to_json(), Record) == record


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(RECORD.to_json()))), json_values)
def test_a_record_with_any_field_replaced_is_read_or_refused(name, value):
    data = {**json.loads(RECORD.to_json()), name: value}
    try:
        assert isinstance(read_json(json.dumps(data), Record), Record)
    except AtlasError as error:
        assert "record" in str(error)


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_a_record_or_refused(text):
    with pytest.raises(StoreError, match="record"):
        read_json(text, Record)
