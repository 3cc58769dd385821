"""Runs whose place is a container: what goes into it, and what its log says. See `remote.runner.contained`."""

from .luggage import ARCHIVE, ARRIVING, COLLECTED, HEAD, LAST, ROOT, RUN, body, head, tar
from .printed import Printed, read

__all__ = [
    "ARCHIVE",
    "ARRIVING",
    "COLLECTED",
    "HEAD",
    "LAST",
    "ROOT",
    "RUN",
    "Printed",
    "body",
    "head",
    "read",
    "tar",
]
