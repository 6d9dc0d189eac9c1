"""The jobs of `scripts/bench` by name. Each writes its results to benchmarks/results/.

scripts/bench [main] ...             time, memory and scores of impasto stylize
scripts/bench sizes ...              time per step and peak memory against size
scripts/bench limits ...             the parts of one step, and the machine's limits
scripts/bench batch ...              many pictures, in one process and in one process each
scripts/bench control ...            whether the controls do what they say
scripts/bench throughput ...         many pictures: a loop, one process, one worker a core
scripts/bench page ...               how much time the page's previews cost
scripts/bench gpu ...                all measurements for a CUDA machine
scripts/bench launches ...           operations and bytes of a step on CUDA, counted without one
scripts/bench crowsonkb ...          comparison with style-transfer-pytorch's recipe in a plain loop
scripts/bench neural-style-pt ...    comparison with that program
scripts/bench pystiche ...           comparison with that library
scripts/bench --report               write docs/benchmarks.md and its plots from all results

Each has its own --help.
"""

import importlib
import sys

JOBS = {
    "main": "main_job",
    "sizes": "sizes",
    "limits": "limits",
    "batch": "batch",
    "control": "control",
    "throughput": "throughput",
    "page": "page",
    "gpu": "gpu",
    "launches": "launches",
    "crowsonkb": "crowsonkb",
    "neural-style-pt": "neural_style_pt",
    "pystiche": "pystiche",
}


def main(given: list[str]) -> None:
    """Run the job named first, or the main job where none is named.

    Raises:
        SystemExit: there is no such job, or it failed.

    """
    if given in (["-h"], ["--help"]):
        print(__doc__)
        return
    if given == ["--report"]:
        from benchmarks import report

        report.write()
        return
    name, *rest = given if given and not given[0].startswith("-") else ["main", *given]
    if name not in JOBS:
        raise SystemExit(f"scripts/bench: no job {name!r}; choose {', '.join(JOBS)}")
    importlib.import_module(f"benchmarks.{JOBS[name]}").main(rest)


if __name__ == "__main__":
    main(sys.argv[1:])
