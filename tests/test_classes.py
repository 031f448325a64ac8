"""The classifier: logits against torchvision in float64, targets and plans by the classes of the weights, records."""

import math
import re
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

import oracle
from atlas import render
from atlas.cli import app
from atlas.common.errors import ConfigError, TargetError
from atlas.demo.pictures import CLASSES
from atlas.inception import layers, targets
from atlas.inception.layers import FC
from atlas.inception.targets import Term
from atlas.plan.clips import make_clip
from atlas.plan.config import override
from atlas.plan.jobs import Job, feature_jobs, map_jobs, rounds
from atlas.rendering.descent import descend, gradient_at, judge
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.objectives import compile_objective, log_odds
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights, count_classes, load_weights
from atlas.runs import resolve_config
from atlas.site.words import probability
from atlas.store.records import Record, WeightsId, read_json
from atlas.store.weights_ids import read_weights_id, with_class_names, write_weights_id
from atlas.studies import all_jobs, load_config
from atlas.studies.dreams.settings import Settings as DreamsSettings
from seeded import with_classifier

CPU = torch.device("cpu")
COUNT = 7
IMAGES = torch.rand(3, 3, 80, 93, generator=torch.Generator().manual_seed(5)).double()


@pytest.fixture(scope="module")
def classified(weights) -> Weights:
    """The seeded weights with a classifier of seven classes."""
    return Weights(replace(weights.id, classes=("",) * COUNT), with_classifier(weights.tensors, COUNT))


@pytest.fixture(scope="module")
def classified64(classified) -> Network:
    return Network(classified, CPU, torch.float64)


@pytest.fixture(scope="module")
def torchvisions(classified):
    return oracle.torchvision_model(dict(classified.tensors), torch.float64)


def test_logits_are_those_of_torchvision_in_float64(classified64, torchvisions):
    with torch.inference_mode():
        found = classified64.activations(IMAGES, {"Mixed_5b", FC})
        torchvisions.transform_input = False
        expected = torchvisions(IMAGES)
    assert found[FC].shape == (3, COUNT, 1, 1)
    torch.testing.assert_close(found[FC].flatten(1), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_does_not_depend_on_the_others(dtype, classified):
    network = Network(classified, CPU, dtype)
    means = torch.rand(8, layers.get_layer(FC).inputs, 1, 1, generator=torch.Generator().manual_seed(2)).to(dtype)
    together = network._logits(means)
    alone = torch.cat([network._logits(one[None]) for one in means])
    assert together.dtype == torch.float32
    assert torch.equal(together, alone)


@pytest.mark.parametrize(
    ("text", "foci"),
    [
        ("fc[3]", [(1, FC, (3, "whole"))]),
        ("fc[3] + -0.5*Mixed_5b[1]", [(1, FC, (3, "whole")), (-0.5, "Mixed_5b", (1, "whole"))]),
        ("fc[0] + 2*fc[5]", [(1, FC, (0, "whole")), (2, FC, (5, "whole"))]),
    ],
)
def test_descents_are_those_of_the_articles_loop(text, foci, classified64, torchvisions, recipes):
    recipe = recipes["octaves"].scaled(75, 3)
    start = start_noise(999, recipe.first_size)[None].double()
    (ours,) = descend(classified64, [targets.parse(text)], recipe, start, seed=999)
    expected = oracle.article_render(torchvisions, foci, recipe)
    assert (ours.image - expected).abs().max() < 1e-9
    moved = torch.nn.functional.interpolate(start, expected.shape[-2:], mode="bilinear", antialias=True)[0]
    assert (ours.image - moved).abs().max() > 1e-3


def test_a_class_in_a_mixed_batch_has_the_gradient_that_it_has_alone(classified64, recipes):
    texts = ["fc[3]", "Mixed_7c[5]", "fc[1] + Mixed_6b[2]", "Conv2d_1a_3x3[0]"]
    images = IMAGES[:1].expand(len(texts), -1, -1, -1)

    def gradients(some):
        objective = compile_objective(list(map(targets.parse, some)), (80, 93), (80, 93), CPU, torch.float64)
        return gradient_at(classified64, objective, recipes["octaves"], images[: len(some)])

    together = gradients(texts)
    for row, text in enumerate(texts):
        torch.testing.assert_close(together[row : row + 1], gradients([text]), rtol=1e-9, atol=1e-12)


def test_a_class_without_a_gradient_is_rescued_through_the_last_relu_of_mixed_7c(classified, classified64):
    name = "Mixed_7c.branch1x1.bn.bias"
    closed = Weights(classified.id, {**classified.tensors, name: torch.full_like(classified.tensors[name], -1e3)})
    network = Network(closed, CPU, torch.float64)
    images = IMAGES.clone().requires_grad_()
    with torch.no_grad():
        plain, straight = (run(images, {FC})[FC] for run in (network.activations, network.straight_activations))
    torch.testing.assert_close(plain, straight)
    first = torch.zeros(1, layers.get_layer(FC).inputs)
    first[0, 0] = 1  # a class by a feature whose neurons are all closed
    only = Weights(closed.id, {**closed.tensors, f"{FC}.weight": first, f"{FC}.bias": torch.zeros(1)})
    network = Network(only, CPU, torch.float64)
    found = [
        torch.autograd.grad(run(images, {FC})[FC].sum(), images)[0].abs().sum()
        for run in (network.activations, network.straight_activations)
    ]
    assert found[0] == 0
    assert found[1] > 0


@pytest.mark.parametrize("text", ["fc[7]", "Mixed_6b[1] + fc[99]"])
def test_a_class_that_the_weights_lack_is_refused_in_words(text):
    target = targets.parse(text)
    target.check_classes(100, "mine")
    with pytest.raises(TargetError, match=r"the weights mine have no such class; fc has 7 classes, 0 to 6"):
        target.check_classes(7, "mine")
    with pytest.raises(TargetError, match=r"they have no fc layer"):
        target.check_classes(0, "mine")


def test_a_class_has_no_position_and_no_more_than_all_classes_is_parsed():
    for text in ("fc[3, 0, 0]", "fc[:]"):
        with pytest.raises(TargetError, match="name one class, without a position"):
            targets.parse(text)
    with pytest.raises(TargetError, match=r"no weights have more than 30,000"):
        targets.parse("fc[100000]")
    assert targets.parse("fc[281]").is_class
    assert not targets.parse("fc[281] + Mixed_6b[1]").is_class


def test_classes_are_planned_by_how_many_the_weights_have():
    config = load_config("demo")
    assert FC in config.layers
    assert FC not in config.map_layers
    assert config.features_of(FC) == (), "not known yet"
    few, many = config.with_classes(5), config.with_classes(55)
    assert few.features_of(FC) == (0, 1, 2, 3, 4)
    assert many.features_of(FC) == tuple(range(8))
    assert [str(job.target) for job in feature_jobs(many)][-8:] == [f"fc[{number}]" for number in range(8)]
    assert set(map_jobs(many)) == set(feature_jobs(config.with_classes(0)))


def test_nothing_is_planned_otherwise_for_weights_without_a_classifier():
    config = load_config("demo").with_classes(0)
    assert config.layers == config.map_layers
    assert not any(term.layer == FC for job in all_jobs(config) for term in job.target.terms)
    with pytest.raises(ConfigError, match="have no fc layer; name others"):
        replace(config, layers=(FC,)).check_classes(0)


def test_numbers_of_classes_that_the_weights_lack_are_refused_where_nothing_else_is_wanted(tmp_path):
    config = replace(override(load_config("demo"), layers="fc", features="60-70"), store=tmp_path)
    with pytest.raises(ConfigError, match="the weights demo have none of these features: their classes are 0 to 54"):
        resolve_config(config)
    assert resolve_config(override(config, features="50-70")).features_of(FC) == (50, 51, 52, 53, 54)


def test_a_target_of_a_study_that_the_weights_lack_is_refused_before_anything_runs(weights, tmp_path):
    dreams = replace(load_config("demo").study(DreamsSettings), targets=(targets.parse("fc[60]"),))
    config = load_config("demo").with_study(dreams)
    with pytest.raises(TargetError, match="fc has 55 classes, 0 to 54"):
        resolve_config(replace(config, store=tmp_path))
    config = replace(config, weights=save(tmp_path / "b.pth", weights.tensors), store=tmp_path)
    with pytest.raises(TargetError, match="they have no fc layer"):
        resolve_config(config)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('[raster]\ntargets = ["fc[1]"]', "is a class, which has no feature map"),
        ('[interactions]\npairs = [["fc[1]", "Mixed_6b[1]"]]', "is a class, whose log-odds are no activation"),
        ('[fields]\nlayers = ["fc"]', "has no feature maps"),
    ],
)
def test_studies_of_maps_refuse_classes_in_words(table, why, tmp_path):
    (tmp_path / "atlas.toml").write_text(table)
    with pytest.raises(ConfigError, match=why):
        load_config(str(tmp_path / "atlas.toml"))
    with pytest.raises(TargetError, match="a video is of one whole feature"):
        make_clip(targets.parse("fc[1]"), load_config().recipes["raster"], 999, stride=None, fps=None, size=None)


def test_other_weights_have_other_names_of_classes(tmp_path):
    (tmp_path / "atlas.toml").write_text('[atlas]\nweights = "mine.pth"\nclass_names = "names.txt"\n')
    config = load_config(str(tmp_path / "atlas.toml"))
    assert config.class_names == tmp_path / "names.txt"
    assert override(config, weights="imagenet").class_names is None


def test_what_the_store_notes_of_weights_counts_before_a_file_is_read(tmp_path):
    for ids in (WeightsId("mine", "a" * 64, "", "x", ("cat", "dog")), WeightsId("plain", "b" * 64, "", "x")):
        write_weights_id(tmp_path, ids)
    config = replace(load_config("demo"), store=tmp_path)
    assert resolve_config(replace(config, weights="mine-aaaaaaaa")).classes == 2
    assert resolve_config(replace(config, weights="plain-bbbbbbbb")).classes == 0


def test_features_that_results_name_are_not_among_the_first_of_their_layer():
    config = override(load_config(), features="654,")
    named = replace(config, named=tuple(Term("Mixed_7b", feature) for feature in (3, 17)))
    assert named.features_of("Mixed_7b") == (3, 17, 654)
    assert named.first_features("Mixed_7b", 4) == (654,)
    assert [recipe.name for recipe in named.recipes_of("Mixed_7b")] == ["crisp", "crisp", "crisp-large"]
    before, after = (set(all_jobs(one)) for one in (config, named))
    assert before < after


def test_classes_are_rendered_with_rows_as_mixed_7c(recipes):
    jobs = [Job(targets.feature_target(name, 3), recipes["octaves"], 999) for name in (FC, "Mixed_7c")]
    for device in ("cpu", "cuda", "mps"):
        sizes = {batch.deepest: batch.size for part in rounds(jobs, device) for batch in part}
        assert sizes[FC] == sizes["Mixed_7c"]
    assert 0 < jobs[0].flops - Job(targets.parse("Mixed_7c[:]"), recipes["octaves"], 999).flops < 1e8


def save(path, tensors):
    torch.save(tensors, path)
    return str(path)


def test_a_classifier_after_a_dropout_is_found(classified, tmp_path):
    tensors = {re.sub(r"^fc\.", "fc.1.", name): tensor for name, tensor in classified.tensors.items()}
    file = save(tmp_path / "head.pth", tensors)
    assert count_classes(file) == len(load_weights(file).id.classes) == COUNT
    torch.testing.assert_close(load_weights(file).tensors["fc.weight"], classified.tensors["fc.weight"])
    two = save(tmp_path / "two.pth", {**tensors, "fc.3.weight": torch.zeros(2, COUNT)})
    assert count_classes(two) == 0


def test_a_file_has_as_many_classes_as_its_fc(classified, weights, tmp_path):
    with_fc, without = save(tmp_path / "a.pth", classified.tensors), save(tmp_path / "b.pth", weights.tensors)
    broken = save(tmp_path / "c.pth", {**classified.tensors, f"{FC}.bias": torch.zeros(3)})
    assert [count_classes(name) for name in (with_fc, without, broken, "demo", "imagenet")] == [COUNT, 0, 0, 55, 1000]
    assert load_weights(with_fc).id.classes == ("",) * COUNT
    assert load_weights(with_fc).has_classifier
    for name in (without, broken):
        assert load_weights(name).id.classes == ()
        assert not load_weights(name).has_classifier
    config = replace(load_config(), weights=without)
    assert resolve_config(config).layers == config.map_layers


def test_the_demo_weights_know_their_classes():
    assert load_weights("demo").id.classes == CLASSES


def test_names_of_classes_come_from_a_file_with_a_line_for_each(tmp_path):
    known = WeightsId("mine", "a" * 64, "", classes=("", "", ""))
    file = tmp_path / "names.txt"
    file.write_text("\ufefftench\n great  white shark \n\n", "utf-8")
    with pytest.raises(ConfigError, match="2 lines, and the weights mine have 3 classes"):
        with_class_names(known, file)
    file.write_text("tench\n great  white shark \nrock beauty\n\n", "utf-8")
    assert with_class_names(known, file).classes == ("tench", "great white shark", "rock beauty")
    assert with_class_names(replace(known, classes=()), file).classes == ()
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="name a text file in UTF-8"):
        with_class_names(known, file)


def test_the_note_of_weights_holds_their_classes_and_others_have_none(tmp_path):
    for ids in (WeightsId("mine", "a" * 64, "", "x", ("cat", "")), WeightsId("plain", "b" * 64, "", "x")):
        write_weights_id(tmp_path, ids)
        file = tmp_path / ids.folder / "weights.json"
        assert read_weights_id(file).classes == ids.classes
        assert ("classes" in file.read_text()) == bool(ids.classes)


def test_the_score_of_a_class_is_its_log_odds(classified, recipes):
    recipe = recipes["octaves"].scaled(75, 2)
    renderer = Renderer(classified, CPU, resolve_numerics(CPU, "fp32", 1))
    jobs = [Job(targets.parse(text), recipe, 999) for text in ("fc[3]", "Mixed_5b[1]", "fc[3] + Mixed_5b[1]")]
    made = renderer.render(jobs, 3)
    record = made[0].record
    with torch.inference_mode():
        share = (
            renderer.network("fp32").activations(tensor_of(made[0]), {FC})[FC].flatten().double().softmax(0)[3].item()
        )
    assert record.score_shown == pytest.approx(math.log(share / (1 - share)), rel=1e-4)
    assert probability(record.score_shown) == f"{100 * share:.1f} %"
    assert read_json(record.to_json(), Record) == record
    assert "classes" not in record.to_json()
    with torch.inference_mode():
        parts = [judge(renderer.network("fp32"), [job.target], tensor_of(made[2]), (75, 75)).item() for job in jobs]
    assert parts[2] == pytest.approx(parts[0] + parts[1], rel=1e-5)
    assert parts[2] == pytest.approx(made[2].record.score_shown, rel=1e-5)


def tensor_of(rendering):
    picture = torch.frombuffer(bytearray(rendering.pixels), dtype=torch.uint8)
    return picture.view(1, rendering.record.height, rendering.record.width, 3).permute(0, 3, 1, 2).float() / 255


def test_a_probability_is_never_said_to_be_0_or_1():
    said = [probability(score) for score in (-2000.0, -6.0, 0.0, 6.0, 2000.0, None)]
    assert said == ["less than 0.1 %", "0.2 %", "50.0 %", "99.8 %", "more than 99.9 %", "not finite"]


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_log_odds_are_those_of_the_softmax_and_do_not_change_if_all_logits_grow(classes):
    logits = torch.randn(5, classes, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    wanted = torch.arange(5) % classes
    found = log_odds(logits, wanted)
    if classes == 1:
        assert torch.equal(found, logits[:, 0])
        return
    shares = logits.softmax(1)[torch.arange(5), wanted]
    torch.testing.assert_close(found, (shares / (1 - shares)).log())
    torch.testing.assert_close(log_odds(logits + 300, wanted), found)


def test_a_class_of_the_demo_weights_becomes_what_its_picture_shows():
    made = render("fc[34]", weights="demo", recipe="small", device="cpu")
    assert CLASSES[34] == "face"
    assert made.record.status == "ok"
    assert made.record.score_start < 0 < made.record.score_shown
    with pytest.raises(TargetError, match="fc has 55 classes, 0 to 54"):
        render("fc[55]", weights="demo", recipe="small", device="cpu")


def test_a_plan_says_that_weights_have_no_classes(weights, tmp_path):
    file = save(tmp_path / "b.pth", weights.tensors)
    arguments = ["--features-only", "--features", "1", "--store", str(tmp_path / "none"), "--device", "cpu"]
    for source, words in ((file, "not counted: classes, since the weights have no fc layer"), ("demo", "fc ")):
        result = CliRunner().invoke(app, ["plan", "--config", "demo", "--weights", source, *arguments])
        assert result.exit_code == 0
        assert words in result.stdout
    result = CliRunner().invoke(app, ["plan", "--config", "demo", "--layers", "fc,Mixed_7c", *arguments[1:]])
    assert "not counted: the features that vote for each class" in result.stdout


def test_a_command_refuses_a_class_in_words_and_others_are_rendered(tmp_path):
    arguments = ["--weights", "demo", "--store", str(tmp_path), "--recipe", "quick", "--device", "cpu"]
    result = CliRunner().invoke(app, ["render", "fc[55]", *arguments])
    assert result.exit_code == 2
    assert "fc has 55 classes, 0 to 54" in result.output
    assert "Traceback" not in result.output
