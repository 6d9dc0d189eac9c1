"""Write docs/benchmarks.md and its plots from the results of all jobs; each job makes its own section."""

from pathlib import Path

from benchmarks import batch, control, crowsonkb, gpu, limits, main_job, page, records, sizes, throughput
from benchmarks.peers import tables
from benchmarks.prove import report as prove

DOCS = records.ROOT / "docs"
SECTIONS = (
    main_job.section,
    gpu.section,
    prove.section,
    sizes.section,
    limits.section,
    batch.section,
    throughput.section,
    page.section,
    crowsonkb.section,
    control.section,
)


def text(folder: Path = records.RESULTS) -> str:
    """Return docs/benchmarks.md."""
    sections = [section(folder) for section in SECTIONS]
    return "".join(["# Benchmarks\n", *(part for part in sections if part), tables.section(folder / "peers")])


def write(folder: Path = records.RESULTS, docs: Path = DOCS) -> None:
    """Write the page and its plots."""
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "pictures").mkdir(exist_ok=True)
    (docs / "benchmarks.md").write_text(text(folder))
    for name, plot in sizes.plots(folder).items():
        (docs / "pictures" / name).write_text(plot)
