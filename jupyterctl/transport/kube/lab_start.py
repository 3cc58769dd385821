"""Starting a lab in a pod, step by step: what waits says on what, and ends at once where waiting cannot help.

Two who start the same lab at once, from wherever, make one: the cluster has each name once, and takes no change of
something that was changed meanwhile.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import JupyterctlError, TargetError
from ...model import Phase, PhaseState, ServerSpec, duration
from ..lab_start import step
from . import lab_log, lab_manifest, lab_state, pods
from .api import ConflictError, ForbiddenError, MissingError
from .lab_state import Lab

if TYPE_CHECKING:
    from .labs import Labs

EVERY = 0.3
"""Seconds between looks at a pod that is on its way."""
EVENTS_EVERY = 2.0
"""Seconds between looks at the cluster's events."""
LINES = 3
"""Of the log that go into an error."""
_NO_LAB = re.compile(r"No module named '?jupyterlab")


class Start:
    """One start of one lab."""

    def __init__(self, labs: Labs, spec: ServerSpec) -> None:
        self.labs, self.spec, self.settings = labs, spec, labs.settings
        self.cluster = labs.cluster
        self.name = spec.name
        self.limit = duration(self.settings.server.start_timeout)
        self.warning = ""
        self.passing = False
        """Whether we make a lab whose files go with its pod."""
        self.before = 0
        """Restarts of the container that were there before us."""
        self.stale: set[tuple[str, ...]] = set()
        """What the cluster had said of pods that it does not make before us."""

    def steps(self) -> Iterator[Phase]:
        """Every step; a lab that is on its way already is only waited for. One that does not come up is stopped."""
        yield from step("environment", self._have)
        if self.warning:
            yield Phase(name="warning", state=PhaseState.DONE, detail=self.warning)
        if self.passing:
            said, hint = lab_manifest.GO_WITH_POD, lab_manifest.A_DISK
            yield Phase(name="warning", state=PhaseState.DONE, detail=said, hint=hint)
        try:
            yield from self._until("process", lambda lab: lab.runs, lambda lab: f"pod {_pod(lab)} on node {_node(lab)}")
            yield from step("address", lambda: f"127.0.0.1:{lab_manifest.PORT} in the pod")
            yield from self._until("http", lambda lab: lab.ready, lambda _: "answers")
        except _FailedError as error:
            with suppress(JupyterctlError):
                lab_log.keep(self.cluster, self.name)
            with suppress(JupyterctlError):
                lab_state.scale(self.cluster, self.name, 0)
            raise TargetError(error.message, error.hint) from error

    # -- what it is made of --------------------------------------------------------------------------------------

    def _have(self) -> str:
        """Its objects, as the profile is now; a lab that is to run is left as it is."""
        lab = lab_state.look(self.cluster, self.name)
        if lab is not None:
            told = lab_state.refusals(lab_state.events(self.cluster, lab.set))
            self.stale = {lab_state.mark(event) for event in told}
        if lab is not None and lab.wanted and not lab.rests:
            self.before = lab.restarts
            return f"{_image(lab.set)}, there already"
        if lab is not None and lab.pod is not None:
            lab_state.scale(self.cluster, self.name, 0)
            self.labs.see_it_go(self.name)
        self._secret()
        account = self._account() if lab_manifest.idles(self.settings) else None
        wanted = lab_manifest.stateful_set(self.name, self.settings, account=account)
        self.passing = not lab_manifest.outlives(wanted)
        if lab is None:
            self._create(wanted)
        elif _claims(lab.set) != _claims(wanted):
            self._delete()
            self._create(wanted)
        else:
            lab_state.change(self.cluster, self.name, lambda made: _renew(made, wanted))
        return f"{self.settings.image}{_resources(wanted)}"

    def _secret(self) -> None:
        """The token that there is, so that open tabs stay logged in, with the files of this version."""
        space, called = self.cluster.namespace, lab_manifest.called(self.name)
        token = self.spec.token
        with suppress(MissingError):
            token = token or self.labs.token(self.name)
        made = lab_manifest.secret(self.name, token or secrets.token_hex(32))
        try:
            self.cluster.ask(self.cluster.secrets.create, made, space)
        except ConflictError:
            self.cluster.ask(self.cluster.secrets.replace, made, called, space)

    def _account(self) -> str | None:
        """The service account that may scale the lab; None, with a warning, where we may not grant that."""
        rights = "rbac.authorization.k8s.io"
        kinds = {
            "ServiceAccount": self.cluster.resource("serviceaccounts"),
            "Role": self.cluster.resource("roles", rights),
            "RoleBinding": self.cluster.resource("rolebindings", rights),
        }
        named = self.settings.service_account
        try:
            for kind, made in lab_manifest.account(self.name, named):
                with suppress(ConflictError):
                    self.cluster.ask(kinds[kind].create, made, self.cluster.namespace)
        except ForbiddenError as error:
            self.warning = (
                f"nobody may let the lab end itself ({error.message}): once it is idle it keeps its place until"
                " somebody looks at it"
            )
            return None
        return str(named or lab_manifest.called(self.name))

    def _create(self, wanted: dict[str, Any]) -> None:
        with suppress(ConflictError):  # another one has just made it
            self.cluster.ask(self.cluster.statefulsets.create, wanted, self.cluster.namespace)

    def _delete(self) -> None:
        """Its volume stays; the claims of a StatefulSet cannot be changed."""
        called = lab_manifest.called(self.name)
        with suppress(MissingError):
            self.cluster.ask(self.cluster.statefulsets.delete, called, self.cluster.namespace)

    # -- until it answers ----------------------------------------------------------------------------------------

    def _until(self, name: str, reached: Callable[[Lab], bool], detail: Callable[[Lab], str]) -> Iterator[Phase]:
        """A step that ends once the lab has come so far; it says what is awaited."""
        began = asked = time.monotonic()
        yield Phase(name=name, state=PhaseState.DOING)
        told: list[dict[str, Any]] = []
        said = ""
        while True:
            lab = lab_state.look(self.cluster, self.name)
            try:
                self._see_that_it_lives(lab, told)
                assert lab is not None  # noqa: S101 - it would not live
                if reached(lab):
                    break
                if time.monotonic() - asked > EVENTS_EVERY:
                    asked, told = time.monotonic(), self._told(lab)
                why = lab_state.waits_for(lab, told)
                if time.monotonic() - began > self.limit:
                    raise self._late(lab, why)
            except _FailedError as error:
                took = time.monotonic() - began
                yield Phase(name=name, state=PhaseState.FAILED, seconds=took, detail=error.message)
                raise
            if why != said:
                said = why
                yield Phase(name=name, state=PhaseState.DOING, seconds=time.monotonic() - began, detail=why)
            time.sleep(EVERY)
        yield Phase(name=name, state=PhaseState.DONE, seconds=time.monotonic() - began, detail=detail(lab))

    def _told(self, lab: Lab) -> list[dict[str, Any]]:
        """What the cluster says of it, but for what it did not make before somebody asked for this start."""
        told = lab_state.events(self.cluster, lab.set, lab.pod)
        old = [event for event in lab_state.refusals(told) if lab_state.mark(event) in self.stale]
        return [event for event in told if event not in old]

    def _see_that_it_lives(self, lab: Lab | None, told: list[dict[str, Any]]) -> None:
        """Raises where nobody need wait any longer."""
        if lab is None or not lab.wanted:
            raise _FailedError("the lab was stopped while it was starting", f"jupyterctl start {self.name}")
        if lab.pod is None:
            refused = lab_state.refusals(told)
            if refused and not pods.temporary(refused[-1]):
                raise _FailedError(
                    f"the cluster makes no pod for it: {pods.refusal(refused[-1])}",
                    "correct the profile, or ask the cluster's owner",
                )
        if lab.pod is None or lab.ending:
            self.before = 0
            return
        if (hopeless := pods.hopeless(lab.pod, told)) is not None:
            raise _FailedError(hopeless.value, _remedy(hopeless.name))
        state = pods.main(lab.pod).get("state", {})
        crashes = state.get("terminated") or state.get("waiting", {}).get("reason") == "CrashLoopBackOff"
        if lab.restarts > self.before or crashes:
            raise self._crashed(lab)

    def _crashed(self, lab: Lab) -> _FailedError:
        """The container ended while it was starting: what it said last."""
        how = lab.died or {}
        if how.get("reason") in {"OOMKilled", *pods.NOT_STARTED}:
            return _FailedError(pods.ended({"spec": (lab.pod or {}).get("spec"), "status": _over(how)}).value, _ENOUGH)
        data, _ = lab_log.tail(self.cluster, self.name, -4096)
        lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
        if any(_NO_LAB.search(line) for line in lines):
            python = self.settings.python
            return _FailedError(f"`{python}` of `{self.settings.image}` has no JupyterLab", "take an image that has it")
        said = " | ".join(lines[-LINES:]) or "(nothing)"
        hint = f"its log ends: {said}; all of it: jupyterctl logs {self.name}"
        return _FailedError("the server ended while it was starting", hint)

    def _late(self, lab: Lab, why: str) -> _FailedError:
        why = lab_state.waits_for(lab, self._told(lab)) or why
        hint = "mend that, or give it more time: start_timeout below [server]"
        return _FailedError(f"the lab has not come up within {self.limit:.0f} s: {why}", hint)


_ENOUGH = "give it more, or another image: [resources], image"


class _FailedError(TargetError):
    """The lab will not come up; it is stopped."""


def _pod(lab: Lab) -> str:
    return str(lab.pod["metadata"]["name"]) if lab.pod else ""


def _node(lab: Lab) -> str:
    return str(lab.pod["spec"].get("nodeName", "")) if lab.pod else ""


def _over(how: dict[str, Any]) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": {"terminated": how}}]}


def _image(made: dict[str, Any]) -> str:
    return str(made["spec"]["template"]["spec"]["containers"][0]["image"])


def _resources(made: dict[str, Any]) -> str:
    """What is reserved, in words."""
    asked = made["spec"]["template"]["spec"]["containers"][0]["resources"]
    both = {**asked.get("limits", {}), **asked.get("requests", {})}
    return "".join(f", {name} {value}" for name, value in both.items())


def _claims(made: dict[str, Any]) -> list[Any]:
    """What cannot be changed of a StatefulSet."""
    found = made["spec"].get("volumeClaimTemplates") or []
    return [(one["spec"]["resources"]["requests"], one["spec"].get("storageClassName")) for one in found]


def _renew(made: dict[str, Any], wanted: dict[str, Any]) -> None:
    made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **wanted["metadata"]["annotations"]}
    made["spec"] |= {"replicas": 1, "template": wanted["spec"]["template"]}


def _remedy(reason: str) -> str:
    if reason in pods.PULLS | pods.AT_ONCE:
        return "correct `image`, or name a Secret with the registry's login in `pull_secrets`"
    return "correct what the profile mounts and sets"
