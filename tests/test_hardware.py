"""What depends on the device itself: what records say of it. Graphics cards are made up."""

import pytest
import torch

from atlas.plan import targets
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.render import renderer as rendering
from atlas.render.hardware import Hardware, hardware_of
from atlas.render.numerics import resolve_numerics
from atlas.render.renderer import Renderer

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
TINY = Recipe("tiny", (Octave(75, 1, (0.04, 0.02)),), gradient="rms")
H100 = Hardware("NVIDIA H100 80GB HBM3", "91002", (9, 0), 85 * 10**9)


@pytest.fixture
def card(monkeypatch):
    """Puts a graphics card into this machine, as far as torch tells of it."""

    def put(hardware):
        memory = type("Properties", (), {"total_memory": hardware.memory})
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: hardware.model)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: hardware.capability)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda: int(hardware.cudnn))

    return put


def test_a_card_is_asked_for_what_it_is(card):
    card(H100)
    assert hardware_of(CUDA) == H100


def test_a_record_says_on_what_it_was_rendered(weights, monkeypatch):
    job = Job(targets.parse("Conv2d_1a_3x3[0]"), TINY, 999)
    numerics = resolve_numerics(CPU, "fp32", 1)
    (here,) = Renderer(weights, CPU, numerics).render([job], 1)
    found = here.record.numerics
    assert (found.model, found.cudnn) == (torch.backends.cpu.get_cpu_capability(), None)
    monkeypatch.setattr(rendering, "hardware_of", lambda device: H100)
    (there,) = Renderer(weights, CPU, numerics).render([job], 1)
    found = there.record.numerics
    assert (found.model, found.cudnn) == (H100.model, H100.cudnn)
    assert there.pixels == here.pixels
