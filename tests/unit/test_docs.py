"""What the documentation says about commands is so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from jupyterctl.transport.kube.rights import LABS, RUNS, Rule, role_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KUBERNETES = (ROOT / "docs/pages/kubernetes.md").read_text(encoding="utf-8")


def test_the_page_of_commands_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/commands.py", "--check"], check=False, timeout=60)
    assert done.returncode == 0, "write it anew: python docs/commands.py"


def test_ci_runs_the_command_of_the_readme() -> None:
    command = re.search(r"^python3 -m venv .*pytest.*$", README, re.MULTILINE)
    assert command is not None
    assert command[0] in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("name", "rules"), [("jupyterctl", RUNS), ("jupyterctl-labs", LABS)])
def test_the_page_on_clusters_has_the_roles_that_the_doctor_asks_for(name: str, rules: Sequence[Rule]) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", KUBERNETES, re.MULTILINE | re.DOTALL)
    documents = [yaml.safe_load(block) for block in blocks]
    roles = [one for one in documents if isinstance(one, dict) and one["metadata"]["name"] == name]
    asked = yaml.safe_load(role_of(rules, "ada"))
    assert [role["rules"] for role in roles] == [asked["rules"]]


@pytest.mark.parametrize("file", [Path("README.md"), Path("CHANGELOG.md")])
def test_links_between_files_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / file).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
