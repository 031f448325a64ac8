"""What is rendered and recorded, and exit codes, are those in data/unchanged.json.

After a change of them that is meant, `python scripts/compare_versions.py expect` writes that file anew.
"""

import json

import pytest

from compare_versions import EXPECTED, ROOT
from versions_snapshot import take_expectations

expected = json.loads(EXPECTED.read_text())


@pytest.fixture(scope="module")
def found():
    return take_expectations(ROOT)


def test_command_lines_end_with_the_same_exit_codes(found):
    assert found["exit_codes"] == expected["exit_codes"]


@pytest.mark.parametrize("part", ["recipes", "weights", "records"])
def test_records_say_the_same(found, part):
    assert found[part] == expected[part]
    assert json.dumps(found[part]) == json.dumps(expected[part])  # keys in the same order


def test_the_same_pixels_and_scores_are_made(found):
    """On one kind of machine: rounding depends on the processor and on torch, and descent amplifies it."""
    if found["machine"] != expected["machine"]:
        pytest.skip(f"measured on {expected['machine']}, and this is {found['machine']}")
    assert found["measured"] == expected["measured"]
