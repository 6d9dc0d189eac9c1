"""Limits of nested control groups, of both versions, in folders made here."""

from pathlib import Path

import pytest

from impasto.system.cgroups import memory_limit, processor_limit


def made(tmp_path: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text(own)
    return tmp_path / "root", tmp_path / "own"


@pytest.mark.parametrize(
    ("own", "files", "memory", "processors"),
    [
        ("0::/\n", {"memory.max": "max", "cpu.max": "max 100000"}, None, None),
        ("0::/\n", {"memory.max": "1000", "cpu.max": "150000 100000"}, 1000, 1.5),
        # The least along the path: a job of Slurm in a step, a service in a slice.
        ("0::/a/b\n", {"a/memory.max": "500", "a/b/memory.max": "max", "a/cpu.max": "200000 100000"}, 500, 2.0),
        ("0::/a/b\n", {"a/memory.max": "900", "a/b/memory.max": "700", "memory.max": "800"}, 700, None),
        # The path of a container is that outside of it.
        ("0::/docker/0123\n", {"memory.max": "1000", "cpu.max": "50000 100000"}, 1000, 0.5),
        (
            "5:memory:/job\n3:cpu,cpuacct:/job\n1:name=systemd:/x\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/job/memory.limit_in_bytes": "4096",
                "cpu,cpuacct/job/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4096,
            3.0,
        ),
        ("", {}, None, None),
        ("nonsense\n", {"memory.max": "\xff"}, None, None),
    ],
)
def test_the_least_limit_along_the_path(
    own: str, files: dict[str, str], memory: int | None, processors: float | None, tmp_path: Path
) -> None:
    where = made(tmp_path, own, files)
    assert (memory_limit(*where), processor_limit(*where)) == (memory, processors)
