"""What a lab's container uses of what it may, in words."""

from __future__ import annotations

MIB = 2**20


def cpu(used: float, most: float | None = None, reserved: float | None = None) -> str:
    """Processors.

    >>> cpu(0.031, reserved=0.5), cpu(1.5, 2)
    ('0.03, 0.50 reserved', '1.50 of 2.00')
    """
    limit = f" of {most:.2f}" if most else ""
    return f"{used:.2f}{limit}" + (f", {reserved:.2f} reserved" if reserved else "")


def memory(used: float, most: float | None = None) -> str:
    """Bytes.

    >>> memory(210 * MIB, 512 * MIB)
    '210 MiB of 512 MiB'
    """
    limit = f" of {most / MIB:.0f} MiB" if most else ""
    return f"{used / MIB:.0f} MiB{limit}"


def restarts(count: int, reason: str, code: object) -> str:
    """How often it has been started again, and why the last time.

    >>> restarts(0, "", ""), restarts(2, "OOMKilled", 137)
    ('0', '2, the last one after OOMKilled (137)')
    """
    return f"{count}, the last one after {reason} ({code})" if count else "0"
