"""Pods as the API tells them, in words; and the spec that a profile makes of one."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterctl import schema
from jupyterctl.errors import ConfigError
from jupyterctl.model import RunState
from jupyterctl.targets.kubernetes import Settings
from jupyterctl.transport.kube import doctor, pods, podspec
from jupyterctl.transport.kube.api import Cluster


def ago(seconds: float) -> str:
    """A time of the API's."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(phase: str = "Failed", *, age: float = 0, state: Any = None, image: str = "lab:1", **status: Any) -> Any:
    """A pod whose container is in that state."""
    statuses = [{"name": "main", "state": state}] if state else []
    return {
        "metadata": {"uid": "u", "creationTimestamp": ago(age)},
        "spec": {"containers": [{"name": "main", "image": image, "resources": {"limits": {"memory": "2Gi"}}}]},
        "status": {"phase": phase, "startTime": ago(age), "containerStatuses": statuses, **status},
    }


FULL = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi."
ENDS = {
    "evicted": (pod(reason="Evicted", message=FULL), RunState.LOST, "Evicted", FULL),
    "shut down": (pod(reason="NodeShutdown", message="worker-7 goes"), RunState.LOST, "NodeLost", "worker-7 goes"),
    "lost node": (pod(reason="NodeLost"), RunState.LOST, "NodeLost", "the node went"),
    "refused by its node": (
        pod(reason="OutOfcpu", message="Pod Node didn't have enough resource: cpu"),
        RunState.FAILED, "OutOfcpu", "the node did not take the pod: Pod Node didn't have enough resource: cpu",
    ),
    "deadline": (pod(reason="DeadlineExceeded"), RunState.TIMED_OUT, "DeadlineExceeded", "longer than it may"),
    "memory": (
        pod(state={"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
        RunState.KERNEL_DIED, "OutOfMemory", "memory limit of 2Gi",
    ),
    "killed": (pod(state={"terminated": {"reason": "Error", "exitCode": 137}}), RunState.LOST, "Lost", "exit code 137"),
    "signal": (pod(state={"terminated": {"signal": 9}}), RunState.LOST, "Lost", "signal 9"),
    "no such program": (
        pod(state={"terminated": {"reason": "ContainerCannotRun", "message": "python9:\n not found", "exitCode": 127}}),
        RunState.FAILED, "ContainerCannotRun", "python9: not found",
    ),
    "drained": (
        {**pod(state={"terminated": {"exitCode": 4}}), "metadata": {"deletionTimestamp": ago(1)}},
        RunState.LOST, "PodDeleted", "drained",
    ),
    "nothing known": (pod(), RunState.LOST, "PodGone", "gone"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_how_a_pod_ended(name: str) -> None:
    ended, state, error, said = ENDS[name]
    fate = pods.ended(ended)
    assert (fate.state, fate.name) == (state, error)
    assert said in fate.value


def test_an_eviction_beats_what_its_container_ended_with() -> None:
    """The kubelet kills the container of a pod that it evicts."""
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    assert pods.ended(pod(reason="Evicted", message=FULL, state=killed)).name == "Evicted"


def test_the_jobs_deadline_beats_its_pods() -> None:
    failed = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}}
    killed = pod(state={"terminated": {"reason": "Error", "exitCode": 137}})
    assert pods.of_job(failed, [killed]).state is RunState.TIMED_OUT
    assert pods.of_job(failed, []).state is RunState.TIMED_OUT


def test_a_job_that_is_gone_and_a_pod_that_is_gone_are_two_things() -> None:
    assert pods.of_job(None, []).name == "JobDeleted"
    assert pods.of_job({"status": {}}, []).name == "PodGone"


SAID = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
NO_NODE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": SAID}]
TAKEN = [{"type": "PodScheduled", "status": "True"}]


def test_why_a_pod_waits() -> None:
    assert pods.pending(pod("Pending", conditions=NO_NODE)) == f"no node takes it: {SAID}"
    backing_off = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "lab:9"'}}
    told = pods.pending(pod("Pending", conditions=TAKEN, state=backing_off, image="lab:9"))
    assert told == 'the image `lab:9` cannot be pulled: Back-off pulling image "lab:9"'
    creating = {"waiting": {"reason": "ContainerCreating"}}
    made = pod("Pending", conditions=TAKEN, state=creating)
    assert "pulled" in pods.pending(made)
    warned = {"type": "Warning", "reason": "FailedMount", "message": 'persistentvolumeclaim "data"\nnot found'}
    assert pods.pending(made, [warned]) == 'FailedMount: persistentvolumeclaim "data" not found'
    assert pods.pending(pod("Running")) == ""


def test_a_pull_is_believed_to_fail_only_after_a_while() -> None:
    refused = {"waiting": {"reason": "ErrImagePull", "message": "no route to host"}}
    assert pods.hopeless(pod("Pending", state=refused, age=2)) is None
    fate = pods.hopeless(pod("Pending", state=refused, age=60))
    assert fate is not None
    assert (fate.state, fate.name) == (RunState.FAILED, "ImagePullBackOff"), "the two are said in turn"
    assert pods.hopeless(pod("Pending", state={"waiting": {"reason": "ErrImageNeverPull"}})) is not None
    assert pods.hopeless(pod("Pending", state={"waiting": {"reason": "PodInitializing"}}, age=900)) is None


def test_an_image_is_refused_with_the_reason_and_not_with_the_wait() -> None:
    """Between two tries a kubelet says of the container that it waits, and why stands in its events alone."""
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "lab:1"'}}
    refused = {"type": "Warning", "message": 'Failed to pull image "lab:1": no such host', "reason": "Failed"}
    again = {"type": "Warning", "message": "Error: ImagePullBackOff", "reason": "Failed"}
    fate = pods.hopeless(pod("Pending", state=waits, age=60), [refused, again])
    assert fate is not None
    assert (fate.name, fate.value) == ("ImagePullBackOff", "the image `lab:1` cannot be pulled: no such host")


@pytest.mark.parametrize(
    ("age", "last", "said", "lost"),
    [
        (40, 10, 'secret "login" not found', True),
        (40, 10, 'configmap "pip" not found', True),
        (40, 35, 'secret "login" not found', False),
        (15, 1, 'secret "login" not found', False),
        (40, 10, "failed to sync secret cache: timed out waiting for the condition", False),
    ],
)
def test_a_volume_without_its_secret_is_waited_for_a_while(age: float, last: float, said: str, lost: bool) -> None:
    """It may have been made meanwhile: the kubelet's last word on it must be a late one."""
    creating = {"waiting": {"reason": "ContainerCreating"}}
    made = pod("Pending", conditions=TAKEN, state=creating, age=age)
    text = f'MountVolume.SetUp failed for volume "v2" : {said}'
    event = {"type": "Warning", "reason": "FailedMount", "message": text, "lastTimestamp": ago(last)}
    fate = pods.hopeless(made, [event])
    assert (fate is not None) == lost
    if fate is not None:
        assert (fate.state, fate.name, fate.value) == (RunState.FAILED, "FailedMount", f"FailedMount: {text}")


def test_a_pod_that_no_node_takes_has_its_time() -> None:
    assert pods.unscheduled(pod("Pending", conditions=NO_NODE, age=10), 60) is None
    fate = pods.unscheduled(pod("Pending", conditions=NO_NODE, age=90), 60)
    assert fate is not None
    assert fate.name == "Unschedulable"
    assert SAID in fate.value
    assert pods.unscheduled(pod("Running", age=90), 60) is None


# -- the spec ----------------------------------------------------------------------------------------------------------


def spec(**given_settings: Any) -> Any:
    """What a profile with these settings makes of a pod."""
    settings = msgspec.convert(given_settings, Settings)
    return podspec.spec(settings, {"command": ["run"]}, env={"OURS": "1"}, volumes=[({"emptyDir": {}}, "/work")])


def test_a_volume_that_is_none_is_found_by_the_doctor(tmp_path: Path) -> None:
    """Without any cluster, and before a run is made."""
    (tmp_path / "none").write_text("")
    settings = msgspec.convert({"volumes": ["data:/data"]}, Settings)
    first = next(doctor.look(Cluster(str(tmp_path / "none")), settings))
    assert (first.name, first.state, first.detail) == ("pods", "fail", "`data:/data` in `volumes` is no volume")


@pytest.mark.parametrize("key", ["memory", "ephemeral_storage"])
@pytest.mark.parametrize(
    ("text", "right"), [("500m", False), ("16g", False), ("500Mi", True), ("1.5Gi", True), ("4Ki", True)]
)
def test_thousandths_of_a_byte_are_no_memory(key: str, text: str, right: bool) -> None:
    """As the cluster would take `500m`: its pod would wait for ever."""
    with nullcontext() if right else pytest.raises(msgspec.ValidationError):
        msgspec.convert({"resources": {key: text}}, Settings)


def test_what_a_new_profile_shows_as_examples_is_right() -> None:
    for field in schema.fields(Settings):
        for example in field.examples:
            schema.parse(field, [str(example)] if schema.many(field) else str(example))
    shown = {field.key: field.examples[:1] for field in schema.fields(Settings)}
    assert shown["resources.memory"] == shown["server.disk"] == ("16Gi",)
    assert shown["server.link_port"] == (8801,)


def test_a_pod_has_no_rights_unless_the_profile_gives_it_some() -> None:
    made = spec()
    assert made["securityContext"]["runAsNonRoot"] is True
    assert made["automountServiceAccountToken"] is False
    assert made["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec(user=0)["securityContext"]["runAsNonRoot"] is False


def test_what_a_profile_names_is_in_the_spec() -> None:
    made = spec(
        resources={"cpu": "2", "memory": "4Gi", "gpu": 1, "gpu_resource": "amd.com/gpu"},
        volumes=["pvc:data:/data:ro"],
        tolerations=["gpu:NoSchedule"],
        pull_secrets=["registry"],
        priority_class="low",
        service_account="runner",
        env={"A": "b"},
    )
    (main,) = made["containers"]
    assert main["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"memory": "4Gi", "amd.com/gpu": "1"},
    }
    assert {"name": "v1", "mountPath": "/data", "readOnly": True} in main["volumeMounts"]
    assert {"name": "v1", "persistentVolumeClaim": {"claimName": "data"}} in made["volumes"]
    assert made["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert made["imagePullSecrets"] == [{"name": "registry"}]
    assert (made["priorityClassName"], made["serviceAccountName"]) == ("low", "runner")
    assert made["automountServiceAccountToken"] is True
    assert {"name": "A", "value": "b"} in main["env"]


def test_a_template_is_laid_over_item_by_item() -> None:
    made = spec(
        env={"A": "b"},
        template={
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
            "containers": [
                {"env": [{"name": "A", "value": "c"}, {"name": "B", "value": "d"}], "tty": True},
                {"name": "sidecar", "image": "proxy:1"},
            ],
            "volumes": [{"name": "extra", "emptyDir": {}}],
        },
    )
    main, sidecar = made["containers"]
    assert main["env"] == [
        {"name": "A", "value": "c"}, {"name": "OURS", "value": "1"}, {"name": "B", "value": "d"},
    ]  # fmt: skip
    assert main["tty"] is True
    assert main["command"] == ["run"]
    assert sidecar == {"name": "sidecar", "image": "proxy:1"}
    assert [volume["name"] for volume in made["volumes"]] == ["v0", "extra"]
    assert made["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["db"]}]


def test_a_template_leaves_what_it_is_laid_over_as_it_was() -> None:
    under = {"containers": [{"name": "main", "env": [{"name": "A", "value": "b"}]}]}
    podspec.patched(under, {"containers": [{"env": [{"name": "A", "value": "c"}]}]})
    assert under == {"containers": [{"name": "main", "env": [{"name": "A", "value": "b"}]}]}


@pytest.mark.parametrize("settings", [{"volumes": ["data:/data"]}, {"tolerations": ["gpu:Sometimes"]}])
def test_a_setting_that_cannot_be_understood_is_quoted(settings: dict[str, Any]) -> None:
    ((_, (text,)),) = settings.items()
    with pytest.raises(ConfigError, match=f"`{text}`"):
        spec(**settings)


words = st.text(min_size=1, max_size=80)
DNS = r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?"


@given(words, words)
def test_every_name_is_one_that_an_object_may_have(first: str, second: str) -> None:
    import re

    made = podspec.name("run", first)
    assert re.fullmatch(DNS, made)
    assert made == podspec.name("run", first)
    if first != second:
        assert made != podspec.name("run", second)


@given(words, words)
def test_every_label_is_one_that_an_object_may_have(first: str, second: str) -> None:
    import re

    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", podspec.label(first))
    if first != second:
        assert podspec.label(first) != podspec.label(second)
