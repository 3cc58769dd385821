"""Kinds as threads load them."""

from __future__ import annotations

import subprocess
import sys

MANY_AT_ONCE = """
import sys, threading
from typing import Annotated
import msgspec
from jupyterctl import target

sys.setswitchinterval(1e-6)
for turn in range(60):
    fields = [(f"f{number}", Annotated[int | None, msgspec.Meta(ge=0)], None) for number in range(8)]
    tables = [msgspec.defstruct(f"Table{number}", fields) for number in range(8)]
    settings = msgspec.defstruct("Settings", [(f"t{number}", one, None) for number, one in enumerate(tables)])
    together = threading.Barrier(4)

    def load():
        together.wait()
        target.settle(settings)
        msgspec.convert({"t0": {"f0": 1}}, settings)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("alive")
"""


def test_threads_may_load_a_kind_at_once() -> None:
    """Without `settle` this ends with a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", MANY_AT_ONCE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
