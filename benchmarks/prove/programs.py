"""The parts that run other commands: `impasto doctor`, and NVIDIA's compute-sanitizer."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import pictures
from benchmarks.prove.part import Found, Given, SkippedError

# The exit status that compute-sanitizer uses for memory errors; no program ends with it by itself.
_WRONG_MEMORY = 87


def ask_doctor(given: Given) -> Found:
    """Run `impasto doctor`, which paints a little on each device."""
    done = subprocess.run([sys.executable, "-m", "impasto", "doctor"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    findings = [line for line in lines if "PROBLEM" in line]
    if done.returncode != 0 and not findings:
        findings = [f"impasto doctor ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}"]
    painted = [line for line in lines if line.startswith("painting on")]
    if given.has_cuda and not any("cuda" in line for line in painted):
        findings.append("impasto doctor painted on no CUDA device")
    return Found([{"doctor says": line} for line in lines], findings, "; ".join(painted))


def find_sanitizer() -> str | None:
    """Return the path of compute-sanitizer, or None; it comes with CUDA's toolkit, not with PyTorch."""
    usual = Path("/usr/local/cuda/bin/compute-sanitizer")
    return shutil.which("compute-sanitizer") or (str(usual) if usual.exists() else None)


def sanitize(given: Given) -> Found:
    """Paint two pictures under compute-sanitizer, which finds a graph that reads memory freed with the first."""
    given.need_cuda()
    sanitizer = find_sanitizer()
    if sanitizer is None:
        raise SkippedError("compute-sanitizer is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        content, style = pictures.pair(Path(temporary), 64)
        done = subprocess.run(
            [
                sanitizer, "--tool", "memcheck", "--error-exitcode", str(_WRONG_MEMORY),
                sys.executable, "-m", "benchmarks.measured", "--times", "2", "stylize", content, style,
                "-o", str(Path(temporary) / "out.png"), "--size", "64", "--start-size", "final", "--steps", "6",
                "--device", given.device, "--force", "--quiet",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("=========")]
    findings = []
    if done.returncode == _WRONG_MEMORY:
        findings.append(f"wrong use of memory: {' '.join(said[1:3])}")
    elif done.returncode != 0:
        findings.append(f"the command ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")
    summary = said[-1] if said else "it said nothing"
    return Found([{"compute-sanitizer says": line} for line in said[:20]], findings, summary)
