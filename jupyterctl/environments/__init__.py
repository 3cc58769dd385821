"""Python environments on this machine: find, choose, activate, create and remove them.

| module | what is in it |
| --- | --- |
| environment | the noun, and how one is read from its folder without starting its Python |
| searchpath | where an environment's Python imports from |
| find | every environment there is, best first |
| packages | which modules cannot be imported there, and the command that installs them |
| kernelspecs | kernels of other languages |
| choose | the best environment for a notebook, and why it |
| resolve | from `conda:NAME`, `venv:/path` and the like to one environment |
| activate | the shell lines that make it the active one |
| create | making and removing; `recipe` says of what, `make_conda` with `solve`, and `make_virtual`, say how |
"""

from .activate import script, shell
from .choose import choose, lab
from .environment import Environment, label, spec_of
from .find import environments
from .packages import install_command, missing
from .resolve import absolute, resolve

__all__ = [
    "Environment",
    "absolute",
    "choose",
    "environments",
    "install_command",
    "lab",
    "label",
    "missing",
    "resolve",
    "script",
    "shell",
    "spec_of",
]
