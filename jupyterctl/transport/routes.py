"""Hears of changes of this machine's network: another Wi-Fi, a cable, a VPN; of nothing where the system is silent."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable

_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""Links, addresses and routes, of IPv4 and IPv6 (rtnetlink(7))."""
_SETTLE_SECONDS = 0.2
"""Changes come in flocks; one that is followed by others is not told alone."""


def listen(changed: Callable[[], object]) -> None:
    """Call `changed` whenever the network has changed, from a thread of its own."""
    if sys.platform != "linux":
        return
    try:
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        netlink.bind((0, _GROUPS))
    except OSError:
        return
    threading.Thread(target=_hear, args=(netlink, changed), daemon=True).start()


def _hear(netlink: socket.socket, changed: Callable[[], object]) -> None:
    while True:
        try:
            netlink.settimeout(None)
            netlink.recv(1 << 16)
            netlink.settimeout(_SETTLE_SECONDS)
            while True:
                netlink.recv(1 << 16)
        except TimeoutError:
            changed()
        except OSError:
            return
