"""Plans of raster videos: frames in reading order, strides, and paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.common.errors import TargetError
from atlas.inception.layers import LAYERS
from atlas.inception.targets import parse
from atlas.plan.clips import MOST_FRAMES, make_clip
from atlas.plan.config import override
from atlas.studies import load_config
from atlas.studies.raster.jobs import config_clips

RASTER = load_config().recipes["raster"]


def clip(text, **options):
    return make_clip(parse(text), RASTER, 999, **{"stride": None, "fps": None, "size": None, **options})


def test_the_articles_video():
    video = clip("Mixed_6b[654]")
    assert video.cells == video.grid == (17, 17)
    assert (video.stride, video.fps) == (1, 17)
    targets = [str(frame.job.target) for frame in video.frames]
    assert targets == [f"Mixed_6b[654, :{k}]" for k in range(1, 290)]
    assert [frame.cell for frame in video.frames[:18]] == [*((0, col) for col in range(17)), (1, 0)]
    assert all(frame.cell == frame.neuron for frame in video.frames)
    assert str(video.path) == f"raster-{RASTER.digest}/Mixed_6b_0654_video-1-17"


@pytest.mark.parametrize("layer", [layer.name for layer in LAYERS])
def test_a_stride_is_chosen_where_there_are_more_than_400_neurons(layer):
    video = clip(f"{layer}[1]")
    rows, cols = video.grid
    assert len(video.frames) == video.cells[0] * video.cells[1] <= MOST_FRAMES
    assert (video.stride == 1) == (rows * cols <= MOST_FRAMES)
    assert video.frames[-1].neuron == (rows - 1, cols - 1)


@given(st.integers(1, 20), st.sampled_from(["Mixed_5b[0]", "Mixed_6b[3]", "Mixed_7c[9]"]), st.integers(75, 320))
def test_every_neuron_is_in_its_cells_frame_and_not_in_earlier_rows(stride, text, size):
    try:
        video = clip(text, stride=stride, size=size)
    except TargetError:
        return
    rows, cols = video.grid
    counts = [frame.job.target.terms[0].position.count for frame in video.frames]
    assert counts == sorted(set(counts))
    assert counts[-1] == rows * cols
    for row in range(rows):
        for col in range(cols):
            frame = video.frames[row // stride * video.cells[1] + col // stride]
            assert frame.cell == (row // stride, col // stride)
            assert row * cols + col < frame.job.target.terms[0].position.count


def test_what_is_no_feature_has_no_video():
    for text in ("Mixed_6b[:]", "Mixed_6b[654, 3, :]", "2*Mixed_6b[1]", "Mixed_6b[1] + Mixed_6b[2]"):
        with pytest.raises(TargetError, match="one whole feature"):
            clip(text)
    with pytest.raises(TargetError, match="stride of 18 neurons"):
        clip("Mixed_6b[654]", stride=18)


def test_different_clips_have_different_folders():
    clips = [clip("Mixed_6b[654]"), clip("Mixed_6b[654]", stride=2), clip("Mixed_6b[654]", fps=5)]
    clips += [clip("Mixed_6b[654]", size=203), clip("Mixed_6b[65]")]
    assert len({video.path for video in clips}) == len(clips)


def test_videos_of_the_presets():
    names = [f"{video.layer}[{video.feature}]" for video in config_clips(load_config())]
    assert names == ["Mixed_6b[654]", "Mixed_6b[415]", "Mixed_5d[0]", "Mixed_6e[0]", "Mixed_7c[0]"]
    assert len(config_clips(load_config("demo"))) == 1
    assert config_clips(override(load_config(), layers="Mixed_5b")) == ()
