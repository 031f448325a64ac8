"""Files of results: what is read is what was written, or nothing, or an error that names the file."""

import json

import pytest

from atlas.common.errors import StoreError
from atlas.store.results import read_result, rounded, write_result


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path):
    write_result(tmp_path / "a.json", {"a": 1}, "inputs")
    assert read_result(tmp_path / "a.json", dict, "inputs") == {"a": 1}
    assert read_result(tmp_path / "a.json", dict, "others") is None
    assert read_result(tmp_path / "a.json", list, "inputs") is None
    (tmp_path / "a.json").write_text('{"inputs": "inputs", "found": ')
    assert read_result(tmp_path / "a.json", dict, "inputs") is None


def test_numbers_are_kept_to_six_digits():
    assert rounded(0.123456789) == 0.123457
    assert rounded(float("nan")) is None
    assert rounded({"a": (1.0000001, -1e-300 / 1e300), "b": [1, "1.23456789"]}) == {
        "a": [1.0, 0.0],
        "b": [1, "1.23456789"],
    }


def test_an_edited_result_is_an_error_and_a_reformatted_one_is_none(tmp_path):
    path = tmp_path / "a.json"
    write_result(path, {"a": 0.25, "b": "c"}, "inputs")
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))
    assert read_result(path, dict, "inputs") == {"a": 0.25, "b": "c"}
    path.write_text(path.read_text().replace("0.25", "0.75"))
    with pytest.raises(StoreError, match=r"a\.json: damaged: .* atlas build measures it anew"):
        read_result(path, dict, "inputs")
    assert read_result(path, dict, "others") is None


def test_a_file_of_an_earlier_version_has_no_checksum_and_is_measured_anew(tmp_path):
    (tmp_path / "a.json").write_text('{"inputs": "inputs", "found": {"a": 1}}')
    assert read_result(tmp_path / "a.json", dict, "inputs") is None
