"""The ssh connection itself: paramiko's transport, mended where it falls short."""

from __future__ import annotations

import paramiko


class FastTransport(paramiko.Transport):
    """A paramiko transport over a connected socket (or socket-like object), not yet authenticated.

    `start_client(timeout=…)`, then check the host key, then `auth_…`; hand it to `ParamikoWay` once authenticated.
    """
