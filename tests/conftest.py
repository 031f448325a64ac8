"""Weights, networks and files that many tests share."""

import os
import secrets
from pathlib import Path

import pytest
import safetensors.torch
import torch

import oracle
from atlas.rendering.model import Network
from atlas.rendering.weights import Weights
from atlas.store.records import WeightsId
from atlas.studies import load_config
from seeded import seeded_tensors, with_classifier
from studied import Studied, make_studied

CPU = torch.device("cpu")


def pytest_collection_modifyitems(items):
    """Tests that ask for a browser are those of `pytest -m browser`; those of a GPU are skipped where there is none."""
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Float32 results depend on the number of threads, and tests run in several processes."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _a_token_for_ray():
    """Before Ray is imported, so that it neither looks for a person's token nor makes one for them."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="session")
def weights() -> Weights:
    return Weights(WeightsId("seeded", "5eed" * 16, "seeded and untrained", "x"), seeded_tensors())


@pytest.fixture(scope="session")
def weights_file(weights, tmp_path_factory) -> Path:
    """The weights as a file, which loads faster than they calibrate."""
    file = tmp_path_factory.mktemp("weights") / "trial.safetensors"
    safetensors.torch.save_file({name: t.contiguous() for name, t in weights.tensors.items()}, file)
    return file


@pytest.fixture(scope="session")
def classified_file(weights, tmp_path_factory) -> Path:
    """The weights with three classes, as a file."""
    file = tmp_path_factory.mktemp("weights") / "classified.safetensors"
    safetensors.torch.save_file({k: t.contiguous() for k, t in with_classifier(weights.tensors, 3).items()}, file)
    return file


@pytest.fixture(scope="session")
def network64(weights) -> Network:
    return Network(weights, CPU, torch.float64)


@pytest.fixture(scope="session")
def network32(weights) -> Network:
    return Network(weights, CPU, torch.float32)


@pytest.fixture(scope="session")
def model64(weights):
    return oracle.torchvision_model(dict(weights.tensors), torch.float64)


@pytest.fixture(scope="session")
def recipes():
    return load_config().recipes


@pytest.fixture(scope="session")
def studied(weights, tmp_path_factory) -> Studied:
    return make_studied(tmp_path_factory.mktemp("studied"), weights)


@pytest.fixture(scope="session")
def address():
    """A Ray cluster of two cores on this machine, reached by its address as one elsewhere is."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()
