"""What goes into containers and comes out of them: runs (see `remote.runner.contained`), and the files of labs."""

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
