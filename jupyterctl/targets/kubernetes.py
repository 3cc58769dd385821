"""Kind `kubernetes`: pods of a cluster. A lab is a StatefulSet of one, a run a Job.

What is done there is `transport.kube`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .. import model
from ..model import Check, Duration, Profile, ServerSettings
from ..transport.kube.api import Cluster
from ..transport.kube.doctor import look
from ..transport.kube.labs import Labs
from ..transport.kube.together import Together

ALIASES: tuple[str, ...] = ("k8s",)

Processors = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?m?$", examples=["2", "500m"])]
Bytes = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(k|[MGTPE]|[KMGTPE]i)?$", examples=["16Gi", "500Mi"])]
"""Without the `m` that the cluster would take for thousandths of a byte, and wait for ever."""


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[resources]` table: what a pod asks for, and may use at most."""

    cpu: Annotated[Processors | None, Meta(description="Processors that are reserved, such as 2 or 500m")] = None
    memory: Annotated[Bytes | None, Meta(description="Memory that is reserved, and the most it may use")] = None
    cpu_limit: Annotated[Processors | None, Meta(description="Most processors it may use; left out, no limit")] = None
    gpu: Annotated[int, Meta(ge=0, description="How many GPUs")] = 0
    gpu_resource: Annotated[str, Meta(description="The vendor's name for them")] = "nvidia.com/gpu"
    ephemeral_storage: Annotated[Bytes | None, Meta(description="Disk of the node that is reserved")] = None


class Listening(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[server]` table of a lab in a pod."""

    disk: Annotated[
        Bytes | None,
        Meta(description="Size of a volume of the lab's own for its folder; left out, its files go with the pod"),
    ] = None
    storage_class: Annotated[str | None, Meta(description="Storage class of that volume; left out, the default")] = None
    start_timeout: Annotated[
        Duration, Meta(description="Longest time that each step of starting the lab may take, pulls included")
    ] = "10m"


class Settings(model.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cluster, and what its pods are."""

    image: Annotated[
        str,
        Meta(
            description="Image of the pods; one with Python and papermill for runs, with JupyterLab for a lab",
            examples=["quay.io/jupyter/scipy-notebook:2025-01-01"],
            min_length=1,
        ),
    ] = "quay.io/jupyter/scipy-notebook:latest"
    context: Annotated[str | None, Meta(description="Context of the kubeconfig; left out, the current one")] = None
    namespace: Annotated[str | None, Meta(description="Namespace; left out, the context's own")] = None
    kubeconfig: Annotated[str | None, Meta(description="Another file in the place of KUBECONFIG")] = None
    workdir: Annotated[
        str | None,
        Meta(description="Folder in the pod that the lab shows and runs work in; left out, one of its own"),
    ] = None
    python: Annotated[str, Meta(description="Python in the image, by name or path")] = "python3"
    install: Annotated[
        bool, Meta(description="Install papermill and ipykernel for a run where the image lacks them")
    ] = False
    pull: Annotated[Literal["missing", "always", "never"], Meta(description="When the image is pulled to the node")] = (
        "missing"
    )
    pull_secrets: Annotated[tuple[str, ...], Meta(description="Secrets with logins of registries")] = ()
    service_account: Annotated[str | None, Meta(description="Service account of the pods")] = None
    env: Annotated[dict[str, str], Meta(description="Environment variables of the pods; no secrets here")] = field(
        default_factory=dict
    )
    volumes: Annotated[
        tuple[str, ...],
        Meta(
            description="What is mounted: pvc:NAME:/PATH, secret:NAME:/PATH or configmap:NAME:/PATH; :ro makes it"
            " read-only",
            examples=["pvc:data:/data:ro"],
        ),
    ] = ()
    node_selector: Annotated[dict[str, str], Meta(description="Labels that the node must have")] = field(
        default_factory=dict
    )
    tolerations: Annotated[
        tuple[str, ...],
        Meta(
            description="Taints of nodes that are put up with: KEY[=VALUE][:EFFECT]",
            examples=["nvidia.com/gpu:NoSchedule"],
        ),
    ] = ()
    priority_class: Annotated[str | None, Meta(description="Priority class of the pods")] = None
    queue: Annotated[str | None, Meta(description="Kueue queue that runs wait in")] = None
    user: Annotated[int, Meta(ge=0, description="User id that the pods' processes have; 0 is root")] = 1000
    template: Annotated[
        dict[str, Any], Meta(description="What else the pod's spec says, laid over it as a strategic patch")
    ] = field(default_factory=dict)
    storage: Annotated[
        str | None,
        Meta(
            description="Object storage for large files and results, an address that fsspec knows",
            examples=["s3://bucket/prefix", "gs://bucket/prefix", "abfs://container/prefix"],
        ),
    ] = None
    keep: Annotated[
        Duration, Meta(description="How long a run that has ended, and its result, are kept in the cluster")
    ] = "1d"
    start_timeout: Annotated[
        Duration, Meta(description="Longest time that a run may wait for a node, its image and its files")
    ] = "30m"
    resources: Resources = Resources()
    server: Listening = Listening()


def create(profile: Profile) -> Kubernetes:
    """The target that a profile describes."""
    return Kubernetes(profile)


def default() -> Settings:
    """The current context, with an image that has everything."""
    return Settings()


def candidates() -> Iterator[tuple[str, dict[str, object]]]:
    """One profile for each context of the kubeconfig."""
    for context in Cluster().contexts():
        yield context, {"context": context}


class Kubernetes(Labs, Together):
    """A cluster's namespace, with the pods that the profile describes."""

    def __init__(self, profile: Profile) -> None:
        assert isinstance(profile.settings, Settings)  # noqa: S101 - validated as this kind's
        super().__init__(profile)
        self.settings = profile.settings
        self.cluster = Cluster(self.settings.kubeconfig, self.settings.context, self.settings.namespace)
        self.site = " ".join([profile.kind, *filter(None, self.cluster.named)])

    def check(self) -> Iterator[Check]:
        """Each step of the way to the cluster, and what one may do there."""
        return look(self.cluster, self.settings)
