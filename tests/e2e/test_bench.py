"""Each benchmark runs and prints its lines; what they say is no test's business."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import ADMIN, IMAGE
from tests.conftest import need

REPOSITORY = Path(__file__).parents[2]
RATIO = r"(?m)^.+  +\d+\.\d\d \(\d+\.\d\d-\d+\.\d\d\)  target <= \d\.\d\d  (met|NOT MET) .* s beside .* s, 1 pairs$"
MEMORY = r"(?m)^memory, .+ \d+\.\d MB  target <= 60\.00  (met|NOT MET)"


@pytest.mark.parametrize(
    ("name", "line", "least"),
    [
        ("startup", RATIO, 2),
        ("run", RATIO, 2),
        ("sweep", RATIO, 1),
        ("memory", MEMORY, 2),
        ("start", RATIO, 1),
        ("kube", RATIO, 1),
    ],
    ids=["startup", "run", "sweep", "memory", "start", "kube"],
)
def test_a_benchmark_prints_its_lines(home: Path, name: str, line: str, least: int) -> None:
    if name == "memory" and not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak")
    if name == "kube":
        need("kubernetes", os.environ.get(ADMIN), f"{ADMIN} names no kubeconfig of a test cluster")
        need("image", os.environ.get(IMAGE), f"{IMAGE} names no image")
        need("kubectl", shutil.which("kubectl"), "there is no kubectl")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{name}", "--quick"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(line, done.stdout)) >= least, done.stdout
