"""The target notation: text ↔ Target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.common.errors import TargetError
from atlas.inception.layers import LAYERS, MIN_SIZE, grid
from atlas.inception.targets import WHOLE, Neuron, Prefix, Row, Target, Term, parse

small = st.integers(0, 10**6)
positions = st.one_of(
    st.just(WHOLE), small.map(Row), st.tuples(small, small).map(lambda p: Neuron(*p)), st.integers(0, 10**6).map(Prefix)
)
coefficients = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0)


@st.composite
def terms(draw):
    layer = draw(st.sampled_from(LAYERS))
    feature = draw(st.none() | st.integers(0, layer.features - 1))
    return Term(layer.name, feature, draw(positions), draw(st.just(1.0) | coefficients))


any_target = st.lists(terms(), min_size=1, max_size=6).map(tuple).map(Target)


@given(any_target)
def test_what_is_printed_parses_to_the_same(target):
    assert parse(str(target)) == target


@given(any_target, any_target)
def test_slugs_are_file_names_and_differ(one, other):
    assert (one.slug == other.slug) == (one == other)
    assert len(one.slug.encode()) < 200
    assert not set(one.slug) & set('/\\:*?"<>| []\0')


@given(st.text())
def test_any_text_parses_or_says_why(text):
    try:
        assert parse(str(parse(text))) == parse(text)
    except TargetError as error:
        assert str(error)


@given(st.text(alphabet="Mixed_6b[]0123456789,:+*. -eConv2d_1a3x7", max_size=40))
def test_nearly_notation_parses_or_says_why(text):
    try:
        parse(text)
    except TargetError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Mixed_6b[654]", "Mixed_6b[654]"),
        (" Mixed_6b [ 654 , : , : ] ", "Mixed_6b[654]"),
        ("Mixed_6b[654,3,:]", "Mixed_6b[654, 3, :]"),
        ("Mixed_6b[415,9,9]", "Mixed_6b[415, 9, 9]"),
        ("Mixed_6b[654,:40]", "Mixed_6b[654, :40]"),
        ("Mixed_6b[:]", "Mixed_6b[:]"),
        ("Mixed_6b[:,:,:]", "Mixed_6b[:]"),
        ("1*Mixed_6a[199]+Mixed_6b[201]", "Mixed_6a[199] + Mixed_6b[201]"),
        ("0.30 * Mixed_6a[199] + 7e-1*Mixed_6b[201]", "0.3*Mixed_6a[199] + 0.7*Mixed_6b[201]"),
        ("2*Mixed_6a[0] + -1.5*Mixed_6a[1]", "2*Mixed_6a[0] + -1.5*Mixed_6a[1]"),
    ],
)
def test_printed_form(text, printed):
    assert str(parse(text)) == printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mixed_6b[768]", "its 768 features are 0 to 767"),
        ("Conv2d_3b_1x1[200]", "its 80 features are 0 to 79"),
        ("mixed_6b[1]", 'did you mean "Mixed_6b"?'),
        ("Mixed_65[1]", "no layer is called"),
        ("Mixed_6b[1, :, 3]", "columns across all rows"),
        ("Mixed_6b[1, 2, 3, 4]", "is no position"),
        ("Mixed_6b[-1]", "not a whole number"),
        ("Mixed_6b[1.5]", "not a whole number"),
        ("Mixed_6b[" + "9" * 5000 + "]", "not a whole number"),
        ("Mixed_6b[٣]", "not a whole number"),
        ("0*Mixed_6b[1]", "not a finite number beside 0"),
        ("1e999*Mixed_6b[1]", "not a finite number"),
        ("Mixed_6b[1] Mixed_6c[1]", "expected a +"),
        ("Mixed_6b[1] +", "cannot be read"),
        ("", "cannot be read"),
        ("../../etc/passwd", "cannot be read"),
    ],
)
def test_errors_say_what_is_wrong(text, words):
    with pytest.raises(TargetError, match=r"target|layer|feature") as caught:
        parse(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mixed_6b[1, 17, 0]", "rows are 0 to 16"),
        ("Mixed_6b[1, 16, 17]", "columns are 0 to 16"),
        ("Mixed_6b[1, 17, :]", "rows are 0 to 16"),
        ("Mixed_6b[1, :290]", "a prefix is :1 to :289"),
        ("Mixed_6b[1, :0]", "a prefix is :1 to :289"),
    ],
)
def test_positions_are_checked_against_the_first_size(text, words):
    with pytest.raises(TargetError, match=words):
        parse(text).check_positions((299, 299))


@given(terms())
def test_positions_inside_the_grid_pass(term):
    rows, cols = grid(term.layer, (MIN_SIZE, MIN_SIZE))
    inside = {
        Row: lambda p: p.row < rows,
        Neuron: lambda p: p.row < rows and p.col < cols,
        Prefix: lambda p: 1 <= p.count <= rows * cols,
    }.get(type(term.position), lambda p: True)(term.position)
    try:
        Target((term,)).check_positions((MIN_SIZE, MIN_SIZE))
        assert inside
    except TargetError:
        assert not inside


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Mixed_6b[654]", "Mixed_6b_0654"),
        ("Mixed_6b[415, 9, 9]", "Mixed_6b_0415_r09_c09"),
        ("Mixed_6b[654, 3, :]", "Mixed_6b_0654_r03"),
        ("Mixed_6b[654, :40]", "Mixed_6b_0654_k0040"),
        ("Mixed_6b[:]", "Mixed_6b_all"),
        ("Mixed_6a[199] + Mixed_6b[201]", "Mixed_6a_0199+Mixed_6b_0201"),
        ("0.3*Mixed_6a[199] + Mixed_6b[201]", "0.3xMixed_6a_0199+Mixed_6b_0201"),
    ],
)
def test_slugs(text, slug):
    assert parse(text).slug == slug


def test_deepest_layer_and_features_summed():
    target = parse("Mixed_5b[:] + Mixed_7a[3] + Conv2d_1a_3x3[0]")
    assert target.deepest == "Mixed_7a"
    assert target.features_summed == 256 + 1 + 1
    assert not target.has_positions
    assert parse("Mixed_5b[:] + Mixed_7a[3, :1]").has_positions
