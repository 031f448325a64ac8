"""Deep dreams: their jobs follow from what the photograph is, and the descent from one is the article's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import oracle
from atlas.cli import app
from atlas.cli.console import rendered_line
from atlas.common.errors import ConfigError, TargetError
from atlas.inception import layers
from atlas.inception.targets import parse
from atlas.plan.config import override
from atlas.plan.jobs import Job, rounds
from atlas.plan.recipes import Octave, Recipe
from atlas.plan.starts import DRAWN_PHOTO, Photo
from atlas.rendering.descent import to_pixels
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.objectives import compile_objective, scores
from atlas.rendering.renderer import Renderer
from atlas.site.check import check_store
from atlas.store.masters import find_record, list_masters, master_path, open_master, write_master
from atlas.studies import all_jobs, load_config
from atlas.studies.dreams.jobs import config_dreams
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.settings import name_photos

CPU = torch.device("cpu")
LAYER = parse("Mixed_5b[:]")
RECIPE = Recipe("dream", (Octave(76, 3, (0.5, 0.4)), Octave(80, 2, (0.3, 0.2))), gradient="per_feature")
PHOTO = Photo("ab" * 32, (228, 342))  # 76 × 114 px and then 80 × 120, without rounding
TINY = """
extends = "article"
[atlas]
weights = {weights!r}
store = "store"
[recipes.tiny]
gradient = "per_feature"
octaves = [{{ size = 76, steps = 3, lr = [0.5, 0.4] }}, {{ size = 80, steps = 2, lr = [0.3, 0.2] }}]
[dream]
photos = ["beach.png"]
targets = ["Conv2d_2a_3x3[:]"]
recipe = "tiny"
"""


def picture(height: int = 228, width: int = 342, seed: int = 3) -> Image.Image:
    """Coarse coloured noise."""
    coarse = torch.rand(3, 12, 18, generator=torch.Generator().manual_seed(seed))
    small = Image.fromarray((coarse * 255).byte().permute(1, 2, 0).numpy())
    return small.resize((width, height), Image.Resampling.BICUBIC)


def job(target=LAYER, recipe=RECIPE, photo=PHOTO, seed=999) -> Job:
    return Job(target, recipe, seed, photo)


# Jobs


def test_the_path_spells_the_start() -> None:
    noise, dream = Job(LAYER, RECIPE, 999), job()
    assert str(dream.path) == f"dream-{RECIPE.digest}/Mixed_5b_all~abababab.png"
    assert str(replace(dream, seed=7).path).endswith("Mixed_5b_all~s7~abababab.png")
    assert len({noise.path, dream.path, job(photo=Photo("cd" * 32, PHOTO.size)).path}) == 3


def test_sizes_and_cost_follow_the_photograph() -> None:
    dream = job()
    assert (dream.first_size, dream.sizes) == ((76, 114), ((76, 114), (80, 120)))
    assert dream.flops == 3 * layers.step_flops("Mixed_5b", (76, 114)) + 2 * layers.step_flops("Mixed_5b", (80, 120))
    assert dream.master_bytes > 1.4 * Job(LAYER, RECIPE, 999).master_bytes
    assert job(photo=Photo("ab" * 32, (400, 100))).sizes == ((304, 76), (320, 80))
    assert Job(LAYER, RECIPE, 999).sizes == ((76, 76), (80, 80))


def test_positions_belong_to_the_photographs_own_grid() -> None:
    rows, cols = layers.grid("Mixed_5b", (76, 114))
    assert cols > rows
    job(parse(f"Mixed_5b[3, {rows - 1}, {cols - 1}]"))
    with pytest.raises(TargetError, match="76×114 px"):
        job(parse(f"Mixed_5b[3, {rows}, 0]"))


def test_batches_hold_one_size_and_photographs_have_their_own() -> None:
    other = Photo("cd" * 32, (300, 200))
    jobs = [Job(LAYER, RECIPE, 999), job(), job(seed=5), job(photo=other), Job(LAYER, RECIPE, 998)]
    batches = [batch for column in rounds(jobs, "cpu") for batch in column]
    assert sorted((len(batch.jobs), batch.size) for batch in batches) == [(1, 1), (1, 1), (1, 1), (2, 4)]
    for batch in (batch for column in rounds(jobs, "cpu", 4) for batch in column):
        assert len({member.first_size for member in batch.jobs}) == 1


def test_a_recipe_brought_to_a_size_ends_with_it() -> None:
    recipe = load_config().recipes["dream"]
    assert [octave.size for octave in recipe.scaled(1200, octave=-1).octaves] == [780, 991, 1200]
    assert [octave.size for octave in recipe.scaled(461, octave=-1).octaves] == [300, 381, 461]
    assert recipe.scaled(460, octave=-1) == recipe


# Configurations


def test_the_presets_dream_of_the_picture_that_ships() -> None:
    for name in ("article", "demo"):
        dreams = config_dreams(load_config(name))
        assert {dream.job.start for dream in dreams} == {DRAWN_PHOTO}
        assert {dream.job for dream in dreams} < set(all_jobs(load_config(name)))
    article = [str(dream.job.target) for dream in config_dreams(load_config())]
    assert article == ["Mixed_6b[:]", "Mixed_6d[3] + Mixed_6e[7]"]
    assert load_config().features_of("Mixed_6d")[:4] == (0, 1, 2, 3)


def config_of(tmp_path: Path, text: str):
    (tmp_path / "atlas.toml").write_text(text)
    return load_config(str(tmp_path / "atlas.toml"))


def test_photographs_are_relative_to_the_file_and_the_rest_is_inherited(tmp_path: Path) -> None:
    config = config_of(tmp_path, '[dream]\nphotos = ["in/a.jpg"]\n')
    dream, article = config.study(DreamsSettings), load_config().study(DreamsSettings)
    assert [named.file for named in dream.photos] == [tmp_path / "in" / "a.jpg"]
    assert (dream.targets, dream.recipe) == (article.targets, article.recipe)
    assert config_of(tmp_path, "").study(DreamsSettings) == article


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('photos = [""]', r"dream\.photos\[0\] = .*is no path"),
        ('photos = "a.jpg"', "must be a list of strings"),
        ('targets = ["Mixed_6z[:]"]', r"dream\.targets\[0\] = .*Mixed_6z"),
        ('recipe = "dreem"', 'dream.recipe = "dreem": no such recipe; did you mean "dream"'),
        ("size = 1201", "dream.size = 1201: must be a whole number from 75 to 1200"),
        ('photo = "a.jpg"', "dream.photo = .*no such key"),
    ],
)
def test_a_slip_in_the_table_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        config_of(tmp_path, f"[dream]\n{text}\n")


def test_what_is_left_out_has_no_dreams(tmp_path: Path) -> None:
    assert config_dreams(override(load_config(), features_only=True)) == ()
    assert config_dreams(override(load_config(), layers="Mixed_6d")) == ()
    some = config_dreams(override(load_config(), layers="Mixed_6d,Mixed_6e"))
    assert [str(dream.job.target) for dream in some] == ["Mixed_6d[3] + Mixed_6e[7]"]
    empty = config_of(tmp_path, "[dream]\nphotos = []\n")
    assert config_dreams(empty) == ()
    assert empty.study(DreamsSettings).terms == ()


def sized(size: int, photo: Photo = DRAWN_PHOTO):
    config = load_config()
    (named,) = config.study(DreamsSettings).photos
    dream = replace(config.study(DreamsSettings), size=size, photos=(replace(named, photo=photo),))
    return config_dreams(config.with_study(dream))


def test_size_is_the_shorter_side_of_the_dream() -> None:
    assert {min(dream.job.sizes[-1]) for dream in sized(800)} == {800}
    with pytest.raises(ConfigError, match="would begin with 65 px, and 75 are the least"):
        sized(100)


def test_a_photograph_that_is_too_long_is_refused() -> None:
    sized(1200, Photo("ab" * 32, (300, 1000)))
    with pytest.raises(ConfigError, match=r"at 1000 × 200 px .* would have 60\d\d px, and 4096 are the most; crop it"):
        sized(1200, Photo("ab" * 32, (200, 1000)))
    assert sized(300, Photo("ab" * 32, (200, 1000)))
    with pytest.raises(ConfigError, match="crop it, or ask for a smaller size"):
        sized(1200, Photo("ab" * 32, (100, 3000)))
    for size in (120, 460):  # a smaller size would not help
        with pytest.raises(ConfigError, match="crop it to at most 35 times as long as wide: no size of the dream is"):
            sized(size, Photo("ab" * 32, (1, 5000)))
    assert sized(116, Photo("ab" * 32, (10, 350)))


def named(*texts: str, hashes: str = "abcdefgh") -> list[tuple[str, str]]:
    """The names and titles of photographs whose hashes begin with these digits."""
    starts = name_photos(texts)
    known = (replace(start, photo=Photo(digit * 64, (300, 400))) for start, digit in zip(starts, hashes, strict=False))
    config = override(load_config(), layers="Mixed_6b")
    dream = replace(config.study(DreamsSettings), photos=tuple(known), targets=(parse("Mixed_6b[:]"),))
    found = config_dreams(config.with_study(dream))
    return [(dream.name, dream.title) for dream in found]


def test_photographs_are_told_apart_by_their_hashes_where_their_names_do_not_suffice() -> None:
    assert named("a b.jpg", "München 2024.png", "b/IMG_0001.jpg") == [
        ("a-b", "a b.jpg"),
        ("M-nchen-2024", "München 2024.png"),
        ("IMG_0001", "IMG_0001.jpg"),
    ]
    assert named("夏.jpg", "冬.jpg") == [("photo-aaaaaaaa", "夏.jpg"), ("photo-bbbbbbbb", "冬.jpg")]
    assert named("夏.jpg") == [("photo-aaaaaaaa", "夏.jpg")]
    assert named("a.jpg", "A.png", "c.jpg") == [("a-aaaaaaaa", "a.jpg"), ("A-bbbbbbbb", "A.png"), ("c", "c.jpg")]
    assert named("x/1.jpg", "y/1.jpg") == [("1-aaaaaaaa", "1.jpg (aaaaaaaa)"), ("1-bbbbbbbb", "1.jpg (bbbbbbbb)")]
    long = "WhatsApp Image 2024-05-06 at 12.13.14 PM"
    assert [name for name, _ in named(f"{long} (1).jpg", f"{long} (2).jpg")] == [
        "WhatsApp-Image-2024-05-06-at-12.13.14-PM-aaaaaaaa",
        "WhatsApp-Image-2024-05-06-at-12.13.14-PM-bbbbbbbb",
    ]
    assert named(f"{long} (1).jpg")[0][0].endswith("-aaaaaaaa")
    assert named("x/1.jpg", "y/1.jpg", hashes="aa") == [("1", "1.jpg")], "one photograph that lies there twice"


def test_a_title_turns_no_text_around_it() -> None:
    assert named("a\u202egpj.exe\u0007.jpg")[0][1] == "a\ufffdgpj.exe\ufffd.jpg"
    assert named("می\u200cخواهم.jpg")[0][1] == "می\u200cخواهم.jpg"


# Rendering


@pytest.fixture(scope="module")
def start() -> torch.Tensor:
    """The photograph at the first size by torchvision, [1, 3, 76, 114] float64."""
    pixels = torch.tensor(list(picture().tobytes()), dtype=torch.uint8).view(228, 342, 3).permute(2, 0, 1)
    return oracle.torchvision.transforms.Resize(76)(pixels[None].float() / 255).double()


def renderer(weights, precision: str = "fp32") -> Renderer:
    return Renderer(weights, CPU, resolve_numerics(CPU, precision, 1), lambda photo: picture())


FOCI = {
    "Mixed_5b[:]": [(1, "Mixed_5b", (None, "whole"))],
    "Mixed_6d[3] + Mixed_6e[7]": [(1, "Mixed_6d", (3, "whole")), (1, "Mixed_6e", (7, "whole"))],
    "Mixed_5b[7, 2, 10]": [(1, "Mixed_5b", (7, "neuron", 2, 10))],
}


@pytest.mark.parametrize("text", FOCI)
def test_the_descent_from_a_photograph_is_the_articles(text: str, weights, model64, start) -> None:
    (rendering,) = renderer(weights, "fp64").render([job(parse(text))], 1)
    expected = to_pixels(oracle.article_render(model64, FOCI[text], RECIPE, start=start))
    assert expected.shape == (3, 80, 120)
    assert rendering.pixels == expected.permute(1, 2, 0).contiguous().numpy().tobytes()
    wrong = oracle.article_render(model64, FOCI[text], replace(RECIPE, gradient="sum"), start=start)
    assert text == "Mixed_5b[7, 2, 10]" or not torch.equal(expected, to_pixels(wrong))


def test_the_record_names_the_photograph_and_scores_it_at_the_same_size(weights, network32) -> None:
    (rendering,) = renderer(weights).render([job()], 1)
    record = rendering.record
    assert (record.start, record.width, record.height) == (PHOTO.sha256, 120, 80)
    assert record.is_of(job(), weights.id)
    assert not record.is_of(Job(LAYER, RECIPE, 999), weights.id)
    assert not record.is_of(job(photo=Photo("cd" * 32, PHOTO.size)), weights.id)
    before = picture().resize((120, 80), Image.Resampling.BILINEAR)
    pixels = torch.tensor(list(before.tobytes()), dtype=torch.uint8).view(1, 80, 120, 3).permute(0, 3, 1, 2) / 255
    objective = compile_objective([LAYER], (76, 114), (80, 120), CPU, torch.float32)
    expected = scores(objective, network32.activations(pixels, objective.taps)).item()
    assert record.score_start == pytest.approx(expected, rel=0.01)
    assert record.status == "ok"
    assert record.score_shown > record.score_start


def test_a_dream_is_the_same_bytes_again_whoever_is_beside_it(weights, tmp_path: Path) -> None:
    beside = job(parse("Mixed_5b[3]"))
    first = renderer(weights).render([job(), beside], 2)[0]
    again = renderer(weights).render([beside, job()], 2)[1]
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    for path, rendering in zip(paths, (first, again), strict=True):
        write_master(path, rendering.pixels, rendering.record)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_noise_is_what_it_was(weights) -> None:
    """A renderer of noise needs no photographs, and says so where one is wanted."""
    plain = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    noise = Job(LAYER, RECIPE, 999)
    assert plain.render([noise], 1)[0].record == renderer(weights).render([noise], 1)[0].record
    with pytest.raises(LookupError, match="no photograph abab"):
        plain.render([job()], 1)


# The command


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(weights_file, tmp_path: Path) -> Path:
    (tmp_path / "atlas.toml").write_text(TINY.format(weights=str(weights_file)))
    picture().save(tmp_path / "beach.png")
    return tmp_path


def dream(folder: Path, *arguments):
    return run("dream", *arguments, "--config", folder / "atlas.toml")


def test_atlas_dream_renders_once_and_anew_for_another_photograph_of_the_name(folder: Path) -> None:
    result = dream(folder, folder / "beach.png", "--target", "Conv2d_2a_3x3[:]", "--target", "Conv2d_1a_3x3[4]")
    assert result.exit_code == 0, result.output
    paths = [Path(line) for line in result.stdout.split()]
    assert [path.name.split("~")[0] for path in paths] == ["Conv2d_2a_3x3_all", "Conv2d_1a_3x3_0004"]
    masters, stamps = list(list_masters(folder / "store")), [path.stat().st_mtime_ns for path in paths]
    assert masters == sorted(paths)
    assert {open_master(path)[0].size for path in paths} == {(120, 80)}
    assert check_store(folder / "store") == []
    again = dream(folder, folder / "beach.png", "--target", "Conv2d_2a_3x3[:]", "--target", "Conv2d_1a_3x3[4]")
    assert rendered_line(0, 2) in again.output
    assert [path.stat().st_mtime_ns for path in paths] == stamps
    picture(seed=4).save(folder / "beach.png")
    other = dream(folder, folder / "beach.png", "--target", "Conv2d_2a_3x3[:]")
    assert rendered_line(1, 0) in other.output
    assert other.stdout.strip() not in result.stdout
    assert "beach" not in paths[0].read_bytes().decode("latin-1")


def test_what_is_left_open_the_configuration_says(folder: Path) -> None:
    result = dream(folder, "--size", "84", "--seed", "7")
    (path,) = result.stdout.split()
    assert open_master(Path(path))[0].size == (126, 84)
    assert "Conv2d_2a_3x3_all~s7~" in path


def test_the_picture_that_ships_has_a_name(folder: Path) -> None:
    (path,) = dream(folder, "drawn").stdout.split()
    assert path.endswith(f"~{DRAWN_PHOTO.sha256[:8]}.png")
    assert (folder / "store" / "photos" / f"{DRAWN_PHOTO.sha256}.png").exists()


def test_a_damaged_master_or_a_kept_photograph_that_is_gone_is_made_again(folder: Path, weights) -> None:
    first = dream(folder)
    (path,) = first.stdout.split()
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:-99])
    for kept in (folder / "store" / "photos").glob("*.png"):
        kept.unlink()
    assert "rendered 1" in dream(folder).output
    assert Path(path).read_bytes() == whole


def test_pictures_of_one_name_need_no_other_names(folder: Path) -> None:
    (folder / "other").mkdir()
    picture(seed=5).save(folder / "other" / "beach.png")
    picture(seed=6).save(folder / "夏.png")
    picture(seed=7).save(folder / "冬.png")
    files = ["beach.png", "other/beach.png", "夏.png", "冬.png"]
    result = dream(folder, *(folder / file for file in files))
    assert result.exit_code == 0, result.output
    assert len(set(result.stdout.split())) == 4


def test_two_pictures_of_one_name_in_a_store_are_told_apart_or_asked_for(folder: Path) -> None:
    """Of two years, each with a configuration of its own, whose photographs are gone when the site is made."""
    for year in ("2023", "2024"):
        (folder / year).mkdir()
        picture(seed=int(year)).save(folder / year / "IMG_0001.png")
        text = (folder / "atlas.toml").read_text().replace("beach.png", f"{year}/IMG_0001.png")
        (folder / f"{year}.toml").write_text(text)
        assert run("dream", "--config", folder / f"{year}.toml").exit_code == 0
    (folder / "2023" / "IMG_0001.png").unlink()
    result = run("plan", "--config", folder / "2023.toml")
    assert result.exit_code == 2
    assert "2023/IMG_0001.png: no such file, and 2 pictures in the store had this name: " in result.output
    assert all(str(path) in result.output for path in (folder / "store" / "photos").glob("*.png"))
    assert run("dream", "--config", folder / "2024.toml").exit_code == 0, "the file itself decides"


MISTAKES = [
    (["none.jpg"], "none.jpg: no such file"),
    (["text.jpg"], "text.jpg: no picture of a known kind"),
    (["cut.jpg"], "cut.jpg: cut off or damaged"),
    (["."], "is no file"),
    (["beach.png", "--size", "80000"], "--size"),
    (["beach.png", "--size", "76"], "would begin with 72 px"),
    (["beach.png", "--recipe", "dreem"], 'did you mean "dream"'),
    (["beach.png", "--target", "Mixed_6b[999]"], "no feature 999"),
    (["line.png"], "crop it to at most 51 times as long as wide"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_mistakes_exit_2_and_say_what(arguments: list[str], words: str, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    Path("text.jpg").write_text("hello")
    picture().save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:3000])
    picture(2, 900).save("line.png")
    result = run("dream", *arguments, "--config", "atlas.toml")
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output
    assert not Path("store").exists()


def test_without_anything_to_dream_of_it_says_what_to_name(folder: Path) -> None:
    (folder / "none.toml").write_text("[dream]\nphotos = []\n")
    result = run("dream", "--config", folder / "none.toml")
    assert result.exit_code == 2
    assert 'name a picture and a --target, such as "Mixed_6b[:]"' in result.output


def test_a_photograph_that_is_missing_stops_no_command_that_does_not_need_it(folder: Path) -> None:
    (folder / "beach.png").unlink()
    assert run("render", "Conv2d_1a_3x3[4]", "--recipe", "tiny", "--config", folder / "atlas.toml").exit_code == 0
    assert run("plan", "--features-only", "--config", folder / "atlas.toml").exit_code == 0
    assert "beach.png: no such file" in run("plan", "--config", folder / "atlas.toml").output


def test_freshness_is_by_the_photographs_hash(weights, tmp_path: Path) -> None:
    (rendering,) = renderer(weights).render([job()], 1)
    path = master_path(tmp_path, weights.id, job())
    write_master(path, rendering.pixels, rendering.record)
    assert find_record(path, job(), weights.id) == rendering.record
    assert find_record(path, job(photo=Photo("cd" * 32, PHOTO.size)), weights.id) is None
