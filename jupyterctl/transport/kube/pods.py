"""How pods are, in words: why one does not start, and how one ended that could not say so itself.

All of it is read off objects as the API tells them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...model import Fate, RunState

Object = dict[str, Any]

PULLS = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"}
CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
AT_ONCE = {"InvalidImageName", "ErrImageNeverPull"}
"""What waiting cannot mend."""
PATIENCE_SECONDS = 20.0
"""How long a pod may be refused its image or its configuration before that is believed."""
_ABSENT = re.compile(r"(?:secret|configmap) \"[^\"]+\" not found$")
"""How a kubelet ends what it says of a volume that it cannot fill."""
_PULL = re.compile(r"^Failed to pull image \"[^\"]*\": ")
_FORBIDDEN = re.compile(r"^pods \"[^\"]*\" is forbidden: ")
_TEMPORARY = re.compile(
    r"try again|already ?exists|object is being deleted|timeout|timed out|deadline exceeded|too ?many ?requests"
    r"|\bconflict\b|has been modified",
    re.IGNORECASE,
)
"""How servers refuse what they may well take a moment later."""
_QUOTA = "exceeded quota"
NOT_STARTED = {"ContainerCannotRun", "StartError", "CreateContainerError"}


def phase(pod: Object) -> str:
    """`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`."""
    return str(pod.get("status", {}).get("phase", "Unknown"))


def refusal(event: Object) -> str:
    """Why the cluster makes no pod, without the names of pods: a Job's are new with every try.

    >>> refusal({"message": 'Error creating: pods "run-x7k2p" is forbidden: exceeded quota: none'})
    'exceeded quota: none'
    >>> refusal({"message": 'create Pod lab-0 in StatefulSet lab failed error: pods "lab-0" is forbidden: no account'})
    'no account'
    """
    said = " ".join(str(event.get("message", "")).split())
    said = said.partition(" failed error: ")[2] or said.removeprefix("Error creating: ")
    return _FORBIDDEN.sub("", said)


def temporary(event: Object) -> bool:
    """Whether what keeps the cluster from making a pod goes by itself: a quota that is used up, a moment's trouble.

    >>> temporary({"message": "The POST operation against Pod could not be completed at this time, please try again."})
    True
    >>> temporary({"message": "error looking up service account ada/none"})
    False
    """
    said = str(event.get("message", ""))
    return _QUOTA in said or _TEMPORARY.search(said) is not None


def over(pod: Object) -> bool:
    """Whether nothing of it runs any more."""
    return phase(pod) in {"Succeeded", "Failed"}


def deleted(of: Object) -> bool:
    """Whether it is on its way out, by whoever it may be."""
    return "deletionTimestamp" in of["metadata"]


def disrupted(pod: Object) -> bool:
    """Whether the cluster ends it for its own reasons, which a Job of ours does not count; newer servers say so."""
    return bool(condition(pod, "DisruptionTarget").get("status") == "True")


def expired(pod: Object) -> bool:
    """Whether it was ended for it ran longer than it may."""
    return bool(pod.get("status", {}).get("reason") == "DeadlineExceeded")


def main(pod: Object) -> Object:
    """The status of its container, empty before there is one."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return next((one for one in statuses if one.get("name") == "main"), statuses[0])


def condition(of: Object, name: str) -> Object:
    """A condition of an object, empty where it has none of that name."""
    found = of.get("status", {}).get("conditions") or []
    return next((one for one in found if one.get("type") == name), {})


def age(moment: str | None) -> float:
    """Seconds since a time of the API's."""
    if not moment:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def pending(pod: Object, events: Sequence[Object] = ()) -> str:
    """Why a pod's container does not run yet; empty where it does."""
    if phase(pod) != "Pending":
        return ""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"no node takes it: {scheduled.get('message', scheduled.get('reason', ''))}"
    waiting = main(pod).get("state", {}).get("waiting") or {}
    reason = waiting.get("reason", "")
    warned = [event for event in events if event.get("type") == "Warning"]
    if reason in PULLS | AT_ONCE:
        return f"the image `{_image(pod)}` cannot be pulled: {_refused(waiting, warned)}"
    if reason in CONFIGURATION:
        return f"its container cannot be made: {_sentence(waiting)}"
    if warned:
        return f"{warned[-1].get('reason', '')}: {_sentence(warned[-1])}"
    return "its image is pulled, or its container made" if scheduled else "it waits for a node"


def hopeless(pod: Object, events: Sequence[Object] = ()) -> Fate | None:
    """The end of a pod that will never start; None while it may."""
    waiting = main(pod).get("state", {}).get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in AT_ONCE or (reason in PULLS | CONFIGURATION and held_up(pod)):
        name = "ImagePullBackOff" if reason == "ErrImagePull" else reason  # which are said in turn
        return Fate(state=RunState.FAILED, name=name, value=pending(pod, events))
    absent = [event for event in events if _ABSENT.search(_sentence(event))]
    if held_up(pod) and absent and _lasting(pod, absent[-1]):
        return Fate(state=RunState.FAILED, name="FailedMount", value=pending(pod, absent))
    return None


def _lasting(pod: Object, event: Object) -> bool:
    """Whether it happened once more when the node had long had the pod: what was made meanwhile is not missing."""
    when = event.get("lastTimestamp") or event.get("eventTime")
    return bool(when) and age(pod["status"]["startTime"]) - age(when) >= PATIENCE_SECONDS


def held_up(pod: Object) -> bool:
    """Whether a node has had it for longer than a refusal may last, and nothing of it runs."""
    return phase(pod) == "Pending" and age(pod.get("status", {}).get("startTime")) > PATIENCE_SECONDS


def unscheduled(pod: Object, seconds: float) -> Fate | None:
    """The end of a pod that has waited so long, for a node or for its container."""
    if phase(pod) != "Pending" or age(pod["metadata"].get("creationTimestamp")) <= seconds:
        return None
    name = "Unschedulable" if condition(pod, "PodScheduled").get("status") == "False" else "NotStarted"
    return Fate(state=RunState.FAILED, name=name, value=f"not started within {seconds:.0f} s: {pending(pod)}")


def ended(pod: Object) -> Fate:  # noqa: PLR0911 - one for each way to end
    """How a pod ended that left no last word."""
    status = pod.get("status", {})
    reason = status.get("reason", "")
    over = main(pod).get("state", {}).get("terminated") or {}
    if reason == "Evicted":
        return Fate(state=RunState.LOST, name="Evicted", value=f"the node evicted the pod: {status.get('message', '')}")
    if expired(pod):
        return Fate(state=RunState.TIMED_OUT, name="DeadlineExceeded", value="the pod ran longer than it may")
    if reason in {"NodeLost", "NodeShutdown", "Terminated", "Shutdown"}:
        return Fate(state=RunState.LOST, name="NodeLost", value=f"the node went: {status.get('message', reason)}")
    if reason and not status.get("containerStatuses"):
        value = f"the node did not take the pod: {status.get('message', reason)}"
        return Fate(state=RunState.FAILED, name=reason, value=value)
    if deleted({"metadata": {}, **pod}):
        value = "its pod was deleted, by somebody or because its node was drained"
        return Fate(state=RunState.LOST, name="PodDeleted", value=value)
    if over.get("reason") == "OOMKilled":
        limit = memory(pod)
        value = f"the pod ran into its memory limit{f' of {limit}' if limit else ''}"
        return Fate(state=RunState.KERNEL_DIED, name="OutOfMemory", value=value)
    if over.get("reason") in NOT_STARTED:
        return Fate(state=RunState.FAILED, name=over["reason"], value=f"the image cannot run it: {_sentence(over)}")
    if over:
        how = f"exit code {over.get('exitCode')}" if not over.get("signal") else f"signal {over['signal']}"
        return Fate(state=RunState.LOST, name="Lost", value=f"its container ended with {how} and left no last word")
    return Fate(state=RunState.LOST, name="PodGone", value="its pod is gone")


def memory(pod: Object) -> str:
    """The memory limit of its container."""
    containers = pod.get("spec", {}).get("containers") or [{}]
    return str((containers[0].get("resources", {}).get("limits") or {}).get("memory", ""))


def of_job(job: Object | None, pods: Sequence[Object]) -> Fate:
    """How a run ended whose pods cannot say."""
    failed = condition(job or {}, "Failed")
    if failed.get("reason") == "DeadlineExceeded":
        return Fate(state=RunState.TIMED_OUT, name="DeadlineExceeded", value="the job ran longer than it may")
    if pods:
        return hopeless(pods[-1]) or ended(pods[-1])
    if job is None:
        value = "its job was deleted, by somebody or because its time was over"
        return Fate(state=RunState.LOST, name="JobDeleted", value=value)
    return Fate(state=RunState.LOST, name="PodGone", value="its pod was deleted, and none has taken its place")


def _image(pod: Object) -> str:
    return str(pod.get("spec", {}).get("containers", [{}])[0].get("image", ""))


def _refused(waiting: Object, warned: Sequence[Object]) -> str:
    """Why an image is not pulled; while a kubelet waits to try again, it says that alone of the container."""
    said = [_sentence(event) for event in warned]
    told = [text for text in said if _PULL.match(text)]
    return _PULL.sub("", told[-1]) if told and waiting.get("reason") == "ImagePullBackOff" else _sentence(waiting)


def _sentence(told: Object) -> str:
    return " ".join(str(told.get("message") or told.get("reason") or "").split())
