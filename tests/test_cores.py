"""Cores that a process may use, as the system says them."""

import os

from atlas.cores import count_cores


def test_cores_are_those_left_to_this_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert count_cores() == 3


def test_a_system_that_cannot_leave_out_cores_has_them_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for known, cores in {64: 64, None: 1}.items():
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert count_cores() == cores
