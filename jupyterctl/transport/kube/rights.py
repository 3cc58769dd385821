"""What one must be allowed to do in a namespace, and the Roles that have it, as `kubectl apply` takes them.

Each Role has a name of its own: to apply one takes nothing away that another has granted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

Rule = tuple[str, tuple[str, ...], tuple[str, ...]]
"""An API group, resources, verbs."""
RUNS: tuple[Rule, ...] = (
    ("batch", ("jobs",), ("create", "get", "list", "patch", "delete")),
    ("", ("pods",), ("get", "list", "deletecollection")),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/exec",), ("get", "create")),
    ("", ("secrets",), ("create", "patch", "deletecollection")),
    ("", ("events",), ("list",)),
)
"""What runs need."""
LABS: tuple[Rule, ...] = (
    ("apps", ("statefulsets",), ("get", "list", "create", "update", "delete")),
    ("", ("secrets",), ("get", "create", "update")),
    ("", ("pods",), ("get", "list", "delete")),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/exec", "pods/portforward"), ("get", "create")),
    ("", ("events",), ("list",)),
)
"""What labs need."""
IDLE: tuple[Rule, ...] = (
    ("", ("serviceaccounts",), ("create",)),
    ("rbac.authorization.k8s.io", ("roles", "rolebindings"), ("create",)),
    ("apps", ("statefulsets/scale",), ("patch",)),
)
"""What labs need beside that are to end by themselves when nobody uses them."""
_NAMES = {RUNS: "jupyterctl", LABS: "jupyterctl-labs", IDLE: "jupyterctl-idle"}


def needed(group: str, resource: str, verb: str, first: tuple[Rule, ...] = RUNS) -> tuple[Rule, ...]:
    """All that is needed by what needs this right, so that nobody has to ask for one right after the other.

    >>> needed("apps", "statefulsets", "get") is LABS, needed("", "nodes", "list")
    (True, (('', ('nodes',), ('list',)),))
    """
    for rules in (first, RUNS, LABS, IDLE):
        if any(group == of and resource in resources and verb in verbs for of, resources, verbs in rules):
            return rules
    return ((group, (resource,), (verb,)),)


def role_of(rules: Sequence[Rule], namespace: str) -> str:
    """The Role with these rights, as JSON on one line: what begins with a brace is no YAML to kubectl.

    >>> role_of([("", ("pods/log",), ("get",))], "lab")[-76:]
    '"rules": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]}'
    """
    given = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources, verbs in rules
    ]
    _, resources, verbs = rules[0]
    name = _NAMES.get(tuple(rules)) or "-".join(["jupyterctl", *verbs, *resources]).replace("/", "-")
    return json.dumps(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": given,
        }
    )


def ask_for(rules: Sequence[Rule], namespace: str) -> str:
    """What to do about rights that are missing."""
    return f"ask the cluster's owner for this Role, and a RoleBinding to it: {role_of(rules, namespace)}"
