"""JupyterLab's arguments, wherever it is started."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import ServerSettings, duration


def flags(settings: ServerSettings, own: Mapping[str, object]) -> list[str]:
    """Its place's own, those that every lab has, and the profile's; what these set is left to them."""
    ours = {"ServerApp.port_retries": 0, "ServerApp.open_browser": False, **own, **idle(settings.idle_stop)}
    given = {argument.partition("=")[0] for argument in settings.args}
    return [*(f"--{name}={value}" for name, value in ours.items() if f"--{name}" not in given), *settings.args]


def idle(limit: str | None) -> dict[str, object]:
    """Jupyter's own means to stop what nobody uses. A kernel that computes is busy, whether it prints or not."""
    if limit is None:
        return {}
    seconds = max(1, round(duration(limit)))
    return {
        "MappingKernelManager.cull_idle_timeout": seconds,
        "MappingKernelManager.cull_interval": max(1, min(60, seconds // 2)),
        "MappingKernelManager.cull_busy": False,
        "MappingKernelManager.cull_connected": True,
        "TerminalManager.cull_inactive_timeout": seconds,
        "TerminalManager.cull_interval": max(1, min(60, seconds // 2)),
        "ServerApp.shutdown_no_activity_timeout": seconds,
    }
