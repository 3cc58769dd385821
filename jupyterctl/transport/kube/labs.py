"""Labs in pods: a StatefulSet of one, found by its label from any machine, reached by port-forward.

Commands ask the cluster themselves; the keeper does what must go on after them: it holds the link.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ...errors import StartingError, TargetError
from ...model import Dial, Facts, Loss, Phase, Profile, Server, ServerSpec
from ..contained.files import Files, Filing
from ..linked import Alone, Linked
from .api import Cluster
from .rights import LABS

if TYPE_CHECKING:
    from ..linked import Opened
    from ..ssh.way import Ask, Report
    from .lab_state import Lab
    from .way import Way

GONE_SECONDS = 60.0
"""How long a pod may take to end that was told to."""
EVERY = 0.2
WAIT_SECONDS = 0.8
"""How long one waits for news of a log that is asked for again."""


class Labs(Filing, Linked):
    """The server half of the Target protocol, and what a keeper needs."""

    settings: Any
    cluster: Cluster

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self._asked: tuple[int, float] = (-1, 0.0)
        """The offset that the log was last asked from, and when."""

    # -- the server ------------------------------------------------------------------------------------------------

    def start(self, spec: ServerSpec) -> Iterator[Phase]:
        """Its objects, its pod, its answer."""
        from .lab_start import Start

        yield from Start(self, spec).steps()

    def servers(self) -> list[Server]:
        """Every lab of the namespace that is to run."""
        from . import lab_state

        found = lab_state.everyone(self.cluster)
        return [lab_state.describe(self.cluster, lab, self.profile.kind) for lab in found if lab.wanted and lab.name]

    def find(self, name: str, known: Server | None = None) -> Server | None:  # noqa: ARG002 - it is found by name
        """The profile's lab; one that rests, since nobody used it, is let go of."""
        from . import lab_state

        lab = self.lab(name)
        if lab is None or not lab.wanted:
            return None
        if lab.rests:
            lab_state.scale(self.cluster, name, 0)
            return None
        return lab_state.describe(self.cluster, lab, self.profile.kind)

    def lab(self, name: str) -> Lab | None:
        """The same as the cluster has it, whether or not it is to run."""
        from . import lab_state

        return lab_state.look(self.cluster, name)

    def adoptable(self, name: str, near: Path) -> None:
        """Pods that others have made are theirs."""

    def address(self, server: Server) -> Dial:
        """Its port in its pod."""
        return self._dial(server.name)

    def _dial(self, name: str) -> Dial:
        from . import lab_manifest

        base = next((one.partition("=")[2] for one in self.settings.server.args if "base_url=" in one), "/")
        return Dial(
            host=lab_manifest.pod_of(name), port=lab_manifest.PORT, base_url=base or "/", token=self.token(name)
        )

    def token(self, name: str) -> str:
        """The lab's, out of its Secret."""
        from . import lab_manifest

        called = lab_manifest.called(name)
        data = self.cluster.ask(self.cluster.secrets.get, called, self.cluster.namespace)["data"]
        return base64.b64decode(data[lab_manifest.TOKEN]).decode()

    def stop(self, server: Server) -> None:
        """Scale it to zero and see its pod go: its token, its volume and what it is made of stay."""
        from . import lab_log, lab_state

        with suppress(TargetError):
            lab_log.keep(self.cluster, server.name)
        lab_state.scale(self.cluster, server.name, 0)
        self.see_it_go(server.name)

    def loses(self, name: str) -> Loss | None:
        """The files of a lab whose folder is the pod's own, once something may have been written there."""
        from . import lab_manifest

        lab = self.lab(name)
        if lab is None or not lab.begun or lab_manifest.outlives(lab.set):
            return None
        return Loss(what=f"the files in {lab.folder}", why=lab_manifest.GO_WITH_POD, hint=lab_manifest.A_DISK)

    def see_it_go(self, name: str) -> None:
        """Until nothing of it runs: to put the pod away takes the cluster longer. TargetError where one stays."""
        from . import lab_manifest, lab_state

        deadline = time.monotonic() + GONE_SECONDS
        while (lab := self.lab(name)) is not None and not lab.gone:
            if time.monotonic() > deadline:
                pod = lab_manifest.pod_of(name)
                node = lab.pod["spec"].get("nodeName", "") if lab.pod else ""
                raise TargetError(
                    f"the pod `{pod}` does not end", f"is its node `{node}` well? kubectl delete pod {pod} --force"
                )
            time.sleep(EVERY)
        if lab is not None and lab.pod is not None:
            lab_state.put_away(self.cluster, lab.pod)

    def log(self, server: Server | None, name: str, offset: int) -> tuple[bytes, int]:  # noqa: ARG002 - by name
        """What its pod has written; asked again for the same, one waits a moment for news."""
        from . import lab_log

        asked, when = self._asked
        if asked == offset >= 0:
            time.sleep(max(0.0, when + WAIT_SECONDS - time.monotonic()))
        data, end = lab_log.tail(self.cluster, name, offset)
        self._asked = end, time.monotonic()
        return data, end

    def facts(self, name: str) -> Facts:
        """Image, pod, node, restarts, what it uses, events."""
        from .lab_facts import facts

        lab = self.lab(name)
        return facts(self.cluster, lab) if lab is not None and lab.wanted else Facts()

    def shell(self, server: Server | None, near: Path) -> list[str]:  # noqa: ARG002 - what is near is near here
        """A shell in its pod, by the API's exec."""
        pod, folder = self._inside()
        kubeconfig, context, namespace = self.cluster.named
        order = {"pod": pod, "folder": folder, "kubeconfig": kubeconfig, "context": context, "namespace": namespace}
        return [sys.executable, "-m", "jupyterctl.transport.kube.shell", msgspec.json.encode(order).decode()]

    def enter(self, server: Server | None) -> int:  # noqa: ARG002 - there is one
        """Give our terminal to a shell in its pod."""
        from .shell import enter

        return enter(self.cluster, *self._inside())

    def _inside(self) -> tuple[str, str]:
        """The pod that runs, and the lab's folder in it; TargetError where there is none, StartingError: not yet."""
        name = self.profile.name
        lab = self.lab(name)
        if lab is None or not lab.wanted or lab.rests:
            raise TargetError(f"`{name}` has no pod to go into", f"start it: jupyterctl start {name}")
        if lab.pod is None or not lab.runs:
            raise self._coming(lab)
        return str(lab.pod["metadata"]["name"]), lab.folder

    def _coming(self, lab: Lab) -> StartingError:
        """What a lab that is on its way waits for."""
        from . import lab_state

        told = lab_state.events(self.cluster, lab.set, lab.pod)
        return StartingError(f"the lab is coming up: {lab_state.waits_for(lab, told)}", "it is waited for")

    # -- the way, for the keeper -----------------------------------------------------------------------------------

    @property
    def route(self) -> tuple[str, ...]:
        """The cluster and the namespace."""
        return tuple(part or "" for part in self.cluster.named)

    def warm(self) -> None:
        """The client takes a while to import."""
        from kubernetes import client, config, dynamic  # noqa: F401 - to have them

        from . import way  # noqa: F401 - likewise

    def open(self, ask: Ask, report: Report) -> Opened:  # noqa: ARG002 - a cluster asks nothing
        """See that the API server answers and knows us; a kubeconfig that has changed is read anew."""
        from .way import Way

        cluster = self.cluster.anew()
        cluster.purpose = LABS
        report("connect", cluster.client.configuration.host)
        way = Way(cluster, self.profile.name)
        report("authenticate", f"context {cluster.context}, namespace {cluster.namespace}")
        way.first()
        return Alone(way, way.uneasy)

    def dial(self, carrier: Opened, *, anew: bool) -> Dial:  # noqa: ARG002 - a cluster brings labs back itself
        """Where the lab listens; TargetError says why it does not, StartingError what it waits for."""
        from . import lab_state

        self.cluster = cast("Way", carrier.way).cluster

        lab = self.lab(self.profile.name)
        if lab is not None and lab.ready and lab.wanted:
            return self._dial(self.profile.name)
        start = f"start it: jupyterctl start {self.profile.name}"
        if lab is None:
            raise TargetError(f"the cluster has no lab of `{self.profile.name}`", start)
        if lab.wanted and lab.rests:
            lab_state.scale(self.cluster, self.profile.name, 0)
        if not lab.wanted or lab.rests:
            raise TargetError(f"the lab of `{self.profile.name}` is stopped", start)
        raise self._coming(lab)

    # -- files -----------------------------------------------------------------------------------------------------

    @cached_property
    def files(self) -> Files:
        """Its pod's."""
        from . import streams

        pod, folder = self._inside()
        return streams.files(self.cluster, pod, self.settings.python, folder)
