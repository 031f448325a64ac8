"""Configuration files and presets → Config; mistakes → messages that name file, key, value and what is allowed."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.common.errors import AtlasError, ConfigError
from atlas.inception.layers import LAYERS
from atlas.plan.config import override
from atlas.plan.features import parse_features
from atlas.studies import all_jobs, load_config
from atlas.studies.fields.jobs import field_probes
from atlas.studies.influence.settings import Settings as InfluenceSettings
from atlas.studies.palette.jobs import jobs as palette_jobs


@pytest.fixture
def load(tmp_path):
    def write(text):
        file = tmp_path / "mine.toml"
        file.write_text(text)
        return load_config(str(file))

    return write


def test_article_preset_is_the_articles():
    config = load_config("article")
    assert (config.weights, config.seed, config.recipe) == ("imagenet", 999, "octaves")
    assert [(o.size, o.steps, o.lr, o.sigma) for o in config.recipes["octaves"].octaves] == [
        (299, 100, (0.4, 0.3), (2.4, 0.8)),
        (340, 100, (0.3, 0.2), (1.5, 0.4)),
        (380, 100, (0.2, 0.1), (1.1, 0.3)),
    ]
    assert config.recipes["raster"].octaves == config.recipes["octaves"].octaves[:1]
    raw = config.recipes["raw"].octaves
    assert [(o.size, o.steps, o.lr, o.sigma) for o in raw] == [(299, 300, (0.4, 0.1), None)]
    assert all(r.constant == 200 and r.metric == "l1" for r in config.recipes.values())


def test_demo_preset_extends_the_article():
    config = load_config("demo")
    assert (config.weights, config.recipe, config.store) == ("demo", "quick", Path("renders/demo"))
    assert [len(config.count.of(layer.name)) for layer in LAYERS] == [8] * 16
    assert config.recipes["octaves"] == load_config("article").recipes["octaves"]


def test_the_configuration_of_the_results_asks_for_what_they_say():
    root = Path(__file__).parent.parent
    config = load_config(str(root / "docs/results.toml"))
    assert config.weights == "imagenet"
    assert config.store.resolve() == root / "renders/results"
    assert palette_jobs(config)[0].recipe == load_config("article").recipes["octaves"]
    assert len(field_probes(config, "Mixed_6b")) == 4 * 24 + 1
    assert [str(target) for target in config.study(InfluenceSettings).targets] == ["Mixed_6b[654]"]
    assert len(all_jobs(config)) < 250


def test_a_file_changes_what_it_names_and_keeps_the_rest(load, tmp_path):
    config = load('[atlas]\ntitle = "Mine"\nweights = "own.pth"\n[features]\ncount = [0, "5-7", 654]\n')
    assert (config.title, config.seed) == ("Mine", 999)
    assert config.weights == str(tmp_path / "own.pth")
    assert config.store == Path("renders")
    assert config.count.of("Mixed_6b") == (0, 5, 6, 7, 654)
    assert config.count.of("Conv2d_1a_3x3") == (0, 5, 6, 7)


def test_paths_are_relative_to_the_file(load, tmp_path):
    config = load('[atlas]\nstore = "here"\nsite = "/there"\n')
    assert (config.store, config.site) == (tmp_path / "here", Path("/there"))


def test_a_recipe_replaces_the_one_of_its_name_whole(load):
    config = load('extends = "demo"\n[recipes.quick]\noctaves = [{ size = 100, steps = 5, lr = [1, 0.5] }]\n')
    recipe = config.recipes["quick"]
    assert recipe.gradient == "sum"
    assert (recipe.octaves[0].lr, recipe.octaves[0].sigma) == ((1.0, 0.5), None)
    assert recipe.digest != load_config("demo").recipes["quick"].digest
    assert config.weights == "demo"


def test_whether_the_recipe_was_chosen(load):
    assert not load_config("article").recipe_is_chosen
    assert load_config("demo").recipe_is_chosen
    assert not load("[features]\ncount = 3\n").recipe_is_chosen
    assert load('[features]\nrecipe = "raw"\n').recipe_is_chosen
    assert override(load_config(), recipe="raw").recipe_is_chosen


ONE = "octaves = [{ size = 75, steps = 1, lr = [1, 1] }]"
MISTAKES = {
    "[atlas]\ntitel = 'x'": ("atlas.titel", 'did you mean "title"?'),
    "[atlsa]\n": ("atlsa", 'did you mean "atlas"?'),
    "[atlas]\ntitle = 3": ("atlas.title = 3", "must be a string"),
    "[atlas]\nseed = -1": ("atlas.seed = -1", "whole number from 0"),
    "[atlas]\nseed = true": ("atlas.seed = True", "whole number"),
    "[atlas]\nbase_url = 'ftp://x'": ("atlas.base_url", "https://"),
    "[atlas]\nbase_url = 'https://[x'": ("atlas.base_url", "IPv6"),
    "[atlas]\nstore = ''": ("atlas.store", "must be a path"),
    "atlas = 3": ("atlas = 3", "[atlas]"),
    "extends = 'demmo'": ("extends", 'did you mean "demo"?'),
    "[features]\ncount = 0": ("features.count", "above 0"),
    "[features]\ncount = []": ("features.count", "a list"),
    "[features]\ncount = [1.5]": ("features.count", "a list"),
    "[features]\ncount = ['9-5']": ("features.count", "runs backwards"),
    "[features]\ncount = [2048]": ("features.count", "no layer here has a feature 2048"),
    "[features]\nlayers = ['Conv2d_1a_3x3']\ncount = [32]": ("features.count", "Conv2d_1a_3x3, has 0 to 31"),
    "[features]\nlayers = []": ("features.layers", '"all" or a list'),
    "[features]\nlayers = ['Mixed_6z']": ("features.layers", "did you mean"),
    "[features]\nrecipe = 'octave'": ("features.recipe", 'did you mean "octaves"?'),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ jitter = 3, rotate = 5 }}]": ("recipes.raw.transforms", "one key each"),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ jiter = 3 }}]": ("transforms[0].jiter", 'did you mean "jitter"?'),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ jitter = 0.5 }}]": ("transforms[0].jitter", "whole number from 1"),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ scale = [1.1, 0.9] }}]": ("recipes.raw.transforms", "the least first"),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ scale = [0.3, 0.9] }}]": ("recipes.raw.transforms", "at least 0.5"),
    f"[recipes.raw]\n{ONE}\ntransforms = [{{ crop = [0.3, 1.9] }}]": ("recipes.raw.transforms", "at most 1"),
    f"[recipes.raw]\n{ONE}\nparameterization = 'fouriér'": ("recipes.raw.parameterization", '"fourier"'),
    f"[recipes.raw]\n{ONE}\nparameterization = 'phase'": ("recipes.raw.color", '"decorrelated"'),
    f"[recipes.raw]\n{ONE}\nepsilon = 0.1": ("recipes.raw.epsilon", 'the optimizer is "sgd"'),
    "[recipes.raw]\nparameterization = 'fourier'\noctaves = [{ size = 75, steps = 1, lr = [1, 1], sigma = [1, 1] }]": (
        "recipes.raw.octaves",
        "sigma blurs pixels",
    ),
    "[recipes.raw]\nparameterization = 'fourier'\noctaves = [{ size = 80, steps = 1, lr = [1, 1] }, "
    "{ size = 75, steps = 1, lr = [1, 1] }]": ("recipes.raw.octaves", "must not decrease"),
    "[recipes.raw]\noctaves = []": ("recipes.raw.octaves", "at least one table"),
    "[recipes.raw]": ("recipes.raw.octaves: missing",),
    "[recipes.raw]\noctave = []": (
        "recipes.raw.octaves: missing",
        'recipes.raw.octave = []: no such key; did you mean "octaves"?',
    ),
    "[recipes.raw]\noctaves = [{ size = 75, step = 1, lr = [1, 1] }]": (
        "octaves[0].steps: missing",
        'octaves[0].step = 1: no such key; did you mean "steps"?',
    ),
    "[atlas]\ntitle = ' '": ("atlas.title", "must not be empty"),
    "[recipes.raw]\noctaves = [{ size = 74, steps = 1, lr = [1, 1] }]": ("octaves[0].size = 74", "from 75"),
    "[recipes.raw]\noctaves = [{ size = 75, steps = 0, lr = [1, 1] }]": ("octaves[0].steps = 0", "from 1"),
    "[recipes.raw]\noctaves = [{ size = 75, steps = 1, lr = [1] }]": ("octaves[0].lr", "two numbers"),
    "[recipes.raw]\noctaves = [{ size = 75, steps = 1, lr = [1, inf] }]": ("octaves[0].lr", "finite"),
    "[recipes.raw]\noctaves = [{ size = 75, steps = 1, lr = [1, 1], sigma = [1, 0] }]": ("sigma", "above 0"),
    "[recipes.raw]\noctaves = [{ size = 75, steps = 1, lr = [1, 1], sgima = [1, 1] }]": ("sgima", '"sigma"?'),
    "[recipes.raw]\nmetric = 'L1'\noctaves = [{ size = 75, steps = 1, lr = [1, 1] }]": ("metric", '"l1"?'),
    "[recipes.'../x']\noctaves = [{ size = 75, steps = 1, lr = [1, 1] }]": ("recipes.../x", "a-z"),
    "= 3": ("not valid TOML", "line 1"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_named(text, load):
    with pytest.raises(ConfigError) as caught:
        load(text)
    message = str(caught.value)
    assert "mine.toml" in message
    for words in MISTAKES[text]:
        assert words in message


def test_names_of_any_length_are_shortened_in_messages(load):
    with pytest.raises(ConfigError) as caught:
        load(f"[features]\nrecipe = 'xyz'\n[recipes.{'a' * 5000}]\n{ONE}\n")
    assert len(str(caught.value)) < 1000


def test_all_mistakes_of_a_file_are_named_at_once(load):
    text = """[atlas]
seed = -1
[recipes.raw]
octaves = [{ size = 74, steps = 0, lr = [1] }]
[features]
recipe = "octave"
[raster]
fps = 0
recipe = "raw"
targets = ["Mixed_6b[654]", "Mixed_6b[900]"]
"""
    with pytest.raises(ConfigError) as caught:
        load(text)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("mine.toml: 7 errors")
    assert [line.split(" = ")[0].strip() for line in lines] == [
        "recipes.raw.octaves[0].size",
        "recipes.raw.octaves[0].steps",
        "recipes.raw.octaves[0].lr",
        "atlas.seed",
        "features.recipe",
        "raster.targets[1]",
        "raster.fps",
    ]


def test_messages_are_ours(load):
    """No words, types or addresses of pydantic."""
    for text in MISTAKES:
        with pytest.raises(ConfigError) as caught:
            load(text)
        assert not re.search(r"pydantic|Input should|Value error|Field required|type=", str(caught.value))


def test_a_missing_file_is_named_with_the_presets():
    with pytest.raises(ConfigError, match="article, demo"):
        load_config("nowhere.toml")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://a.org/my atlas/", "' ', which is written %20"),
        ('https://a.org/"x"', "%22"),
        ("https://a.org/<x>", "%3C"),
        ("https://a.org/x\\y", "%5C"),
        ("https://a.org/\n", "'\\\\n', which is written %0A"),
        ("https://a.org/\u202eatlas", "%E2%80%AE"),
        ("name.github.io/atlas", "begins neither with https:// nor with http://"),
        ("//a.org/", "begins neither"),
        ("javascript:alert(1)", "begins neither"),
        ("https:///atlas", "names no host"),
        ("https://:80/", "names no host"),
        ("https://a.org:port/", "Port could not be cast"),
        ("https://me:secret@a.org/", "a user name, which would be published"),
        ("https://a.org/?", r"\? or #"),
        ("https://a.org/?q=1", r"\? or #"),
        ("https://a.org/#x", r"\? or #"),
        ("https://a.org/100%/", "a % without two hexadecimal digits"),
    ],
)
def test_an_odd_base_url_is_refused_in_words(url, fault):
    with pytest.raises(ConfigError, match=fault) as caught:
        override(load_config(), base_url=url)
    assert 'must be like "https://name.github.io/atlas/"' in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("url", ["HTTP://a.org:8080", "https://bücher.example/it's(1),2/%20", "https://[::1]/a;b=c&d"])
def test_a_base_url_may_have_all_that_addresses_have(url):
    assert override(load_config(), base_url=url).base_url == url + "/"


WORDS = 'extends = "demo"\r\n[atlas]\r\ntitle = "Größe"\r\n'  # as an editor of Windows ends lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_a_windows_editor_is_read(encoding, tmp_path):
    (tmp_path / "atlas.toml").write_bytes(WORDS.encode(encoding))
    assert load_config(str(tmp_path / "atlas.toml")).title == "Größe"


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-16", "saved as UTF-16: save it as UTF-8"),
        ("utf-16-le", "saved as UTF-16: save it as UTF-8"),
        ("utf-16-be", "saved as UTF-16: save it as UTF-8"),
        ("latin-1", "not UTF-8 text, in line 3: if it was saved in another encoding, such as Latin-1"),
    ],
)
def test_a_file_in_another_encoding_is_refused_with_the_way_out(encoding, says, tmp_path):
    (tmp_path / "atlas.toml").write_bytes(WORDS.encode(encoding))
    with pytest.raises(ConfigError, match=says):
        load_config(str(tmp_path / "atlas.toml"))


def test_a_folder_and_bytes_are_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="is no file, but a folder"):
        load_config(str(tmp_path))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(str(tmp_path / "b.toml"))


@pytest.mark.parametrize("depth", [90, 300, 450, 900, 3000])
def test_tables_inside_each_other_are_refused_however_deep(depth, load):
    for text in ("a" + ".a" * depth + " = 1", "a = " + "[" * depth + "]" * depth):
        with pytest.raises(ConfigError, match=r"mine\.toml: (a = .*no such key|tables or lists inside each other)"):
            load(text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"layers": "Mixed_6b,Mixed_9z"}, r'--layers "Mixed_9z": no layer is called'),
        ({"layers": "Mixed_6b Mixed_6c"}, "separate names by commas"),
        ({"layers": ","}, '--layers .*"all" or a list'),
        ({"features": "x"}, "--features"),
        ({"features": "2048,"}, "no layer here"),
        ({"recipe": "octave"}, 'did you mean "octaves"?'),
        ({"base_url": "nope"}, "--base-url"),
    ],
)
def test_flags_that_are_wrong(flags, words):
    with pytest.raises(ConfigError, match=words):
        override(load_config(), **flags)


def test_flags_override():
    config = override(
        load_config(),
        layers="Mixed_7c,Mixed_6b",
        features="3",
        seed=7,
        base_url="https://a.org/b",
        store=Path("s"),
    )
    assert config.layers == ("Mixed_6b", "Mixed_7c")
    assert (config.count.of("Mixed_6b"), config.seed, config.store) == ((0, 1, 2), 7, Path("s"))
    assert config.base_url == "https://a.org/b/"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("2", (0, 1)), ("654,", (654,)), ("654-654", (654,)), ("0-2,654", (0, 1, 2, 654)), ("2,2,1-2", (1, 2))],
)
def test_features_of_the_command_line(text, chosen):
    assert parse_features(text).of("Mixed_6b") == chosen


def test_all_features_and_more_than_there_are():
    assert len(parse_features("all").of("Mixed_7c")) == 2048
    assert len(parse_features("100").of("Conv2d_1a_3x3")) == 32


@given(st.text(max_size=20))
def test_any_features_parse_or_say_why(text):
    try:
        assert isinstance(parse_features(text).of("Mixed_6b"), tuple)
    except ConfigError as error:
        assert str(error)


keys = st.sampled_from(
    ["atlas", "features", "recipes", "extends", "title", "seed", "count", "layers", "octaves", "raw"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value if v is not None) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c for c in value if c.isalnum()) + '"'
    return repr(value)


@given(st.dictionaries(keys, values, max_size=4))
def test_any_toml_loads_or_says_why(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("any") / "any.toml"
    file.write_text("".join(f"{k} = {_toml(v)}\n" for k, v in data.items() if v is not None))
    try:
        load_config(str(file))
    except AtlasError as error:
        assert str(file) in str(error)
