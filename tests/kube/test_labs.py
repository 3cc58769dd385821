"""A lab in a pod of a real cluster, whatever happens to the pod, the way to it, and the rights in the namespace."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from jupyterctl.core import copying
from jupyterctl.errors import BusyError, StartingError, TargetError
from jupyterctl.model import PhaseState, ServerSpec
from jupyterctl.transport.kube import lab_manifest
from tests.cluster import DEV, Space
from tests.conftest import COMMAND, Cli, notebook, wait_for
from tests.contract.test_links import keepers, row
from tests.outcomes.ground import two_lines

from .lab_ground import NAME, RIGHTS, TO_END_BY_ITSELF, Lab, token

MOMENTARY = "The POST operation against Pod could not be completed at this time, please try again."
MISSING_KEY = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "x"}}}


@pytest.fixture
def lab(space: Space, home: Path, tmp_path: Path) -> Lab:
    """A profile of the namespace; no lab yet."""
    made = Lab(space, home, tmp_path / "work")
    made.profile()
    return made


# -- the link ----------------------------------------------------------------------------------------------------------


def test_a_client_waits_for_the_pod_that_comes_after_one_that_was_deleted(lab: Lab) -> None:
    url = lab.start()
    before = lab.delete_pod()
    wait_for(lambda: lab.session.status(NAME).health.http != "ok")
    assert lab.get()["kernels"] == 0
    assert lab.uid() != before
    wait_for(lambda: lab.row().state == "running")
    assert lab.session.server_url(NAME) == url


def test_a_pod_that_comes_up_is_said_to(lab: Lab) -> None:
    lab.start()
    lab.delete_pod()
    said = wait_for(lambda: lab.session.status(NAME).error)
    assert "coming up" in said
    assert lab.session.status(NAME).state in {"starting", "running"}
    wait_for(lambda: lab.session.status(NAME).state == "running")


def test_an_api_server_that_is_away_is_unreachable_and_comes_back(lab: Lab) -> None:
    proxy = lab.space.behind_a_proxy()
    lab.profile()
    url, pod = lab.start(), lab.uid()
    with proxy.cut():
        seen: list[str] = []
        wait_for(lambda: seen.append(lab.row().state) or seen[-1] == "unreachable")
        assert "stopped" not in seen
        assert lab.session.status(NAME).state == "unreachable"
    assert lab.get()["kernels"] == 0
    wait_for(lambda: lab.row().state == "running")
    assert (lab.start(), lab.uid()) == (url, pod)


def test_a_client_waits_for_the_api_server(lab: Lab) -> None:
    proxy = lab.space.behind_a_proxy()
    lab.profile()
    lab.start()
    with proxy.cut():
        wait_for(lambda: lab.row().state == "unreachable")
        waiting = subprocess.Popen(
            ["curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}", f"{lab.row().link.url}api"],
            stdout=subprocess.PIPE,
            text=True,
        )
    assert waiting.communicate(timeout=40)[0] == "200"


def test_the_link_outlives_the_api_server(lab: Lab) -> None:
    with lab.space.without_api_server() as stopped:
        url, pod = lab.start(), lab.uid()
        with stopped():
            wait_for(lambda: lab.row().state == "unreachable")
        wait_for(lambda: lab.row().state == "running")
        assert lab.get()["kernels"] == 0
        assert (lab.start(), lab.uid()) == (url, pod)


def test_a_killed_keeper_is_replaced(lab: Lab, home: Path) -> None:
    url = lab.start()
    (keeper,) = keepers(home)
    keeper.kill()
    wait_for(lambda: lab.row().state == "running")
    assert lab.get()["kernels"] == 0
    assert lab.session.server_url(NAME) == url


def test_one_that_nobody_has_started_again_is_told_at_once(lab: Lab) -> None:
    lab.start()
    cluster, none = lab.space.cluster, {"spec": {"replicas": 0}}
    cluster.ask(cluster.apps.patch_namespaced_stateful_set_scale, f"jupyterctl-{NAME}", lab.space.name, none)
    wait_for(lambda: not lab.uid())
    with pytest.raises(AssertionError, match="The lab is stopped"):
        lab.get()
    wait_for(lambda: lab.row().state == "stopped")


# -- what outlives it --------------------------------------------------------------------------------------------------


def test_a_stopped_lab_comes_back_with_its_token_and_its_files(lab: Lab, tmp_path: Path) -> None:
    lab.on_a_disk(tmp_path / "disk")
    url, pod = lab.start(), lab.uid()
    (tmp_path / "disk/kept.txt").write_text("kept")
    lab.session.stop_server(NAME)
    assert (lab.replicas(), lab.session.status(NAME).state) == (0, "stopped")
    lab.profile(server={"disk": "1Gi", "storage_class": ""}, env={"NEW": "1"})
    assert lab.start() == url
    assert lab.uid() != pod
    assert [one["name"] for one in lab.get("/api/contents")["content"]] == ["kept.txt"]
    assert lab.space.execute(lab.pod, "import os; print(os.environ['NEW'])") == "1\n"


def test_another_volume_takes_another_lab_and_the_same_token(lab: Lab, tmp_path: Path) -> None:
    url = lab.start()
    lab.session.stop_server(NAME, force=True)
    lab.on_a_disk(tmp_path / "disk")
    assert lab.start() == url
    assert "1Gi" in lab.session.status(NAME).facts["volume"]


@pytest.mark.parametrize("allowed", [True, False], ids=["by itself", "by whoever looks"])
def test_a_lab_that_nobody_uses_is_scaled_to_zero(lab: Lab, allowed: bool) -> None:
    """Nobody's machine need be on: the pod does it; where its owner may not let it, it rests until somebody looks."""
    lab.space.grant(*RIGHTS, *(TO_END_BY_ITSELF if allowed else ()))
    lab.profile(DEV, server={"idle_stop": "3s"})
    phases = list(lab.session.start_server(NAME))
    url = lab.session.server_url(NAME)
    warned = [phase.detail for phase in phases if phase.name == "warning"]
    assert len(warned) == (1 if allowed else 2)
    if allowed:
        wait_for(lambda: lab.replicas() == 0, 150)
    else:
        assert "serviceaccounts" in warned[0]
        said = lambda: lab.space.pods(server=NAME)[0]["status"]["containerStatuses"][0]["lastState"]  # noqa: E731
        wait_for(lambda: said().get("terminated", {}).get("message") == "idle", 150)
        assert lab.replicas() == 1
    assert lab.session.status(NAME).state == "stopped"
    assert lab.replicas() == 0
    assert lab.start() == url
    assert lab.get()["kernels"] == 0


def test_files_that_go_with_the_pod_are_told_of_and_asked_about(lab: Lab, cli: Cli) -> None:
    started = cli("start", NAME, "--no-open")
    warned = [line for line in started.stderr.splitlines() if line.startswith(("warning", "hint"))]
    assert warned == ["warning: files in it go with the pod", "hint: name a `disk` below [server] to keep them"]
    assert "warning" not in cli("start", NAME, "--no-open").stderr
    pod = lab.uid()
    for verb in ("stop", "restart"):
        told = two_lines(cli(verb, NAME), 2)
        assert f"{verb} `{NAME}` and lose the files in /jupyterctl/work (files in it go with the pod" in told
        assert "add --yes" in told
    with pytest.raises(BusyError) as refused:
        lab.session.stop_server(NAME)
    assert "the files in /jupyterctl/work" in refused.value.message
    assert "`disk`" in refused.value.hint
    assert lab.uid() == pod
    assert cli("stop", NAME, "--yes").returncode == 0
    assert lab.session.status(NAME).state == "stopped"
    assert lab.session.would_lose(NAME) is None


def test_files_on_a_volume_are_not_asked_about(lab: Lab, tmp_path: Path, cli: Cli) -> None:
    lab.on_a_disk(tmp_path / "disk")
    assert "warning" not in cli("start", NAME, "--no-open").stderr
    assert cli("stop", NAME).returncode == 0


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_what_the_cluster_says_of_it(lab: Lab) -> None:
    lab.start()
    status = lab.session.status(NAME)
    assert status.facts["image"] == lab.space.image
    assert (status.facts["pod"], status.facts["restarts"]) == (lab.pod, "0")
    assert status.facts["node"]
    assert any("Started" in event for event in status.events)


def test_the_command_opens_a_shell_in_it(lab: Lab) -> None:
    lab.start()
    given = "echo $PWD as $(id -u); exit 7"
    told = subprocess.run(
        [COMMAND, "shell", NAME], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert (told.returncode, told.stdout) == (7, "/jupyterctl/work as 1000\n")


def test_files_go_there_and_back(lab: Lab, tmp_path: Path) -> None:
    lab.start()
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below/large.bin").write_bytes(bytes(range(256)) * 40_000)
    (tree / "a b.txt").write_text("one")
    where = lab.session._place(NAME)
    done = copying.mirror(where, tree, lambda *_: None, back=False, delete=False, dry_run=False)
    assert done.copied == ("a b.txt", "below/large.bin")
    again = copying.mirror(where, tree, lambda *_: None, back=False, delete=False, dry_run=True)
    assert again.copied == ()
    back = tmp_path / "back"
    back.mkdir()
    copying.mirror(where, back, lambda *_: None, back=True, delete=False, dry_run=False)
    assert (back / "below/large.bin").read_bytes() == (tree / "below/large.bin").read_bytes()
    (tree / "a b.txt").unlink()
    copying.mirror(where, tree, lambda *_: None, back=False, delete=True, dry_run=False)
    assert copying.distant(where).look("a b.txt").kind == ""
    with pytest.raises(TargetError, match="no-such"):
        copying.distant(where).get("/no-such", back / "x", lambda *_: None)
    for refused in ("a b.txt", "below/large.bin"):  # the one is sent before it is refused, the other while it is sent
        for path in ("/proc/x", "/proc/x/y"):
            with pytest.raises(TargetError, match=rf"did not arrive: .*{path}: "):
                copying.distant(where).put(back / refused, path, lambda *_: None)
    (back / "huge.bin").write_bytes(bytes(70 << 20))
    with pytest.raises(TargetError, match="No space left on device"):  # it has 64 MiB, in a pod and in a container
        copying.distant(where).put(back / "huge.bin", "/dev/shm/huge.bin", lambda *_: None)
    assert copying.distant(where).look("/dev/shm").files == ()


def test_the_log_has_what_was_said_before_a_restart(lab: Lab) -> None:
    lab.start()
    first = lab.space.execute(lab.pod, "print(open('/proc/1/task/1/children').read())").split()[0]
    lab.space.execute(lab.pod, "import os, sys; os.kill(int(sys.argv[1]), 9)", first)
    wait_for(lambda: lab.session.status(NAME).facts.get("restarts", "0") != "0")
    wait_for(lambda: lab.session.status(NAME).health.http == "ok")
    assert lab.session.server_log(NAME, 400).count("Jupyter Server") == 2
    lab.session.stop_server(NAME, force=True)
    assert lab.session.server_log(NAME, 400).count("Jupyter Server") == 2


# -- why it does not come up -------------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "never": ({"image": "none:1"}, "the image `none:1` cannot be pulled"),
    "pull": ({"image": "127.0.0.1:1/none:1", "pull": "missing"}, "the image `127.0.0.1:1/none:1` cannot be pulled"),
    "name": ({"image": "Not/A Name"}, "the image `Not/A Name` cannot be pulled"),
    "config": ({"template": {"containers": [{"env": [MISSING_KEY]}]}}, "no-such-secret"),
    "node": ({"node_selector": {"no": "where"}, "server": {"start_timeout": "4s"}}, "no node takes it"),
    "volume": ({"server": {"disk": "1Gi", "storage_class": "none", "start_timeout": "5s"}}, "PersistentVolumeClaim"),
    "secret": ({"volumes": ["secret:no-such:/x"], "server": {"start_timeout": "8s"}}, "no-such"),
    "configmap": ({"volumes": ["configmap:no-such-map:/x"]}, 'configmap "no-such-map" not found'),
    "account": ({"service_account": "no-such"}, "no-such"),
    "jupyterlab": ({"python": "/usr/bin/python3"}, "has no JupyterLab"),
    "python": ({"python": "no-python"}, "no-python"),
    "memory": ({"resources": {"memory": "20Mi"}}, "memory limit"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_why_it_does_not_come_up(lab: Lab, why: str) -> None:
    settings, said = REFUSED[why]
    lab.profile(**settings)
    phases = []
    with pytest.raises(TargetError) as refused:
        phases.extend(lab.session.start_server(NAME))
    assert said in refused.value.message
    assert refused.value.hint
    assert lab.replicas() == 0


def test_one_that_waits_for_a_node_is_starting_wherever_one_looks(lab: Lab) -> None:
    """Also once nobody waits for it any more: who started it has pressed Ctrl-C."""
    lab.profile(node_selector={"no": "where"})
    starting = lab.session.start_server(NAME)
    next(phase for phase in starting if "no node takes it" in phase.detail)
    starting.close()
    with pytest.raises(StartingError, match="the lab is coming up: no node takes it"):
        copying.distant(lab.session._place(NAME)).look("x")
    assert lab.session.would_lose(NAME) is None
    assert lab.session.status(NAME).state == "starting"
    seen = wait_for(lambda: (shown := row(lab.session)).error and shown)
    assert (seen.state, lab.session.status(NAME).state) == ("starting", "starting")
    assert row(lab.session).state == "starting"
    assert "no node takes it" in str(seen.error)
    lab.session.stop_server(NAME)
    assert lab.session.status(NAME).state == "stopped"


def test_a_quota_is_told_while_one_waits(lab: Lab) -> None:
    lab.without_pods()
    lab.profile(server={"start_timeout": "8s"})
    phases = []
    with pytest.raises(TargetError, match="exceeded quota"):
        phases.extend(lab.session.start_server(NAME))


def test_a_lab_is_made_again_while_its_last_pod_ends(lab: Lab, tmp_path: Path) -> None:
    """Its server does not take another pod of that name for a moment, and says so."""
    lab.on_a_disk(tmp_path / "disk")
    url, before = lab.start(), lab.uid()
    cluster = lab.space.cluster
    cluster.ask(cluster.apps.delete_namespaced_stateful_set, lab_manifest.called(NAME), lab.space.name)
    where = lab.session._place(NAME)
    list(where.target.start(ServerSpec(name=NAME, port=0, near=where.cwd)))
    assert lab.start() == url
    assert lab.uid() != before


def test_a_refusal_from_before_the_start_or_for_a_moment_is_none(lab: Lab, tmp_path: Path) -> None:
    """The cluster's own controller is refused, and takes a while to try again; what it says of others counts."""
    lab.on_a_disk(tmp_path / "disk")
    lab.start()
    made = lab.session._place(NAME).target.lab(NAME)
    lab.say(made.set, "FailedCreate", 'create Pod x failed error: pods "x" is forbidden: as it was before')
    lab.session.stop_server(NAME)
    lab.without_pods()
    starting = lab.session.start_server(NAME)
    next(phase for phase in starting if "exceeded quota" in phase.detail)
    lab.say(made.set, "FailedCreate", f"create Pod x failed error: {MOMENTARY}")
    next(phase for phase in starting if MOMENTARY in phase.detail)
    lab.say(made.set, "FailedCreate", 'create Pod x failed error: pods "x" is forbidden: for good')
    with pytest.raises(TargetError, match="the cluster makes no pod for it: for good"):
        list(starting)


def test_a_namespace_that_is_not_there_is_told_with_what_makes_it(lab: Lab, cli: Cli, tmp_path: Path) -> None:
    lab.profile(namespace="nonsuch")
    for command in (["start", NAME], ["run", notebook(tmp_path / "nb.ipynb", "1"), "-t", NAME]):
        said = cli(*command).stderr
        assert "error: there is no namespace `nonsuch`\nhint: make it: kubectl create namespace nonsuch\n" in said


def test_what_one_may_not_do_is_told_with_the_role_that_would_allow_it(lab: Lab) -> None:
    lab.profile(DEV)
    with pytest.raises(TargetError) as refused:
        list(lab.session.start_server(NAME))
    assert "`dev` may not get pods" in refused.value.message
    assert lab.space.apply(refused.value.hint.partition("to it: ")[2]) == "jupyterctl-labs"
    url = lab.start()
    assert lab.get()["kernels"] == 0
    assert token(url) == lab.space.token(NAME)
    shell = lab.session.shell_command(NAME)
    told = subprocess.run(shell, input="echo $PWD; exit 7", capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stdout) == (7, "/jupyterctl/work\n")
    done = [phase.name for phase in lab.session.restart_server(NAME) if phase.state is PhaseState.DONE]
    assert done[-1] == "link"
    lab.session.stop_server(NAME, force=True)
