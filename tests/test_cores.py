"""Cores that a process may use: the least of what machine, scheduler, container and person say."""

import os

import pytest

from atlas.common.cores import VARIABLES, Cores, count_cores, cpu_quota, find_cores, least_cores, shorten_spin


def test_cores_are_those_left_to_this_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr("atlas.common.cores._read", lambda path: None)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert count_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert find_cores() == Cores(2, "OMP_NUM_THREADS")


@pytest.mark.parametrize(
    ("affinity", "quota", "environment", "expected"),
    [
        (None, None, {}, Cores(8, "the machine's cores")),
        (8, None, {}, Cores(8, "the machine's cores")),
        (3, None, {}, Cores(3, "the CPU affinity")),
        (8, 1.5, {}, Cores(2, "the CPU quota")),
        (8, 0.2, {}, Cores(1, "the CPU quota")),
        (8, 64.0, {}, Cores(8, "the machine's cores")),
        (4, 6.0, {"OMP_NUM_THREADS": "2"}, Cores(2, "OMP_NUM_THREADS")),
        (4, None, {"OMP_NUM_THREADS": "64"}, Cores(4, "the CPU affinity")),
        (8, None, {"OMP_NUM_THREADS": " 4,2 "}, Cores(4, "OMP_NUM_THREADS")),
        (8, None, {"SLURM_CPUS_PER_TASK": "3", "OMP_NUM_THREADS": "5"}, Cores(3, "SLURM_CPUS_PER_TASK")),
        (8, None, {"NSLOTS": "2"}, Cores(2, "NSLOTS")),
        (8, None, {"LSB_DJOB_NUMPROC": "2"}, Cores(2, "LSB_DJOB_NUMPROC")),
    ],
)
def test_the_least_limit_counts_and_is_named(affinity, quota, environment, expected):
    assert least_cores(8, affinity, quota, environment) == expected


@pytest.mark.parametrize("odd", ["", "0", "-2", "two", "٣", "9" * 5000])
def test_a_variable_that_is_no_number_of_cores_does_not_count(odd):
    assert least_cores(8, None, None, {"OMP_NUM_THREADS": odd}).source == "the machine's cores"


V1 = "4:memory:/job\n3:cpu,cpuacct:/job/step\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "/proc/self/cgroup": "0::/a.slice/b.scope\n",
                "/sys/fs/cgroup/a.slice/b.scope/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/a.slice/cpu.max": "400000 100000\n",
            },
            4.0,
        ),
        (
            {
                "/proc/self/cgroup": V1,
                "/sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us": "-1\n",
                "/sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us": "100000\n",
                "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "50000\n",
                "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
                "/sys/fs/cgroup/cpu.max": "100 100000\n",
            },
            0.5,
        ),
        (  # in a container of version 1 the path is the host's
            {
                "/proc/self/cgroup": V1,
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        *[({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": odd}, None) for odd in ("", "1 0", "0 1", "x y")],
        ({"/proc/self/cgroup": "nonsense\n\n::\n"}, None),
    ],
)
def test_quotas_of_control_groups(files, expected):
    assert cpu_quota(lambda path: files.get(path.as_posix())) == expected


def test_a_system_that_cannot_leave_out_cores_has_them_all(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr("atlas.common.cores._read", lambda path: None)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for known, cores in {64: 64, None: 1}.items():
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert count_cores() == cores


@pytest.mark.parametrize(
    ("given", "is_ours"),
    [({}, True), ({"OMP_NUM_THREADS": "2"}, True)]
    + [({name: "x"}, False) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")],
)
def test_waiting_threads_sleep_soon_unless_a_person_says_otherwise(given, is_ours):
    environment = dict(given)
    shorten_spin(environment)
    assert environment == (given | {"GOMP_SPINCOUNT": "1000"} if is_ours else given)
