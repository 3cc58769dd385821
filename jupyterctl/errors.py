"""Every error a person can meet, by what they can do about it.

    JupyterctlError            exit code 3
    ├── UsageError             2   the command, a file or a value must be put right
    │   ├── ConfigError        2   a profile or the configuration; names file, key and remedy
    │   ├── NotebookError      2   the notebook cannot be read
    │   ├── ParameterError     2   a parameter is unknown or of the wrong type
    │   ├── NotFoundError      2   no such profile, run or environment
    │   │   └── NoLabError     2   no environment here has JupyterLab
    │   └── BusyError          2   work in progress would be lost
    ├── MissingLibraryError    2   an optional library is not installed
    └── TargetError            3   the place, or the way to it, failed
        ├── NoRunnerError      3   no environment there has papermill
        ├── StartingError      3   what is asked for comes up, and need only be waited for
        └── UnreachableError   3   the place does not answer: its state is unknown, not bad

An error is two lines: `message` says what went wrong, lower case, names in backticks; `hint` says what to do.
"""

from __future__ import annotations


class JupyterctlError(Exception):
    """Base of all errors; `exit_code` is what the command line ends with."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JupyterctlError):
    """The command, a file or a value must be put right by the user."""

    exit_code = 2


class ConfigError(UsageError):
    """A profile or configuration file says something that cannot be."""


class NotebookError(UsageError):
    """A notebook cannot be read, or cannot be run as it is."""


class ParameterError(UsageError):
    """A parameter is unknown, missing or of the wrong type."""


class NotFoundError(UsageError):
    """A name stands for nothing: a profile, a run, an environment."""


class NoLabError(NotFoundError):
    """No Python environment on this machine has JupyterLab."""


class BusyError(UsageError):
    """Kernels that compute would be lost; `--yes` says that they may be."""


class MissingLibraryError(JupyterctlError):
    """An optional library is needed for this and is not installed."""

    exit_code = 2

    def __init__(self, what: str, extra: str, instead: str = "") -> None:
        hint = f"install it: pip install 'jupyterctl[{extra}]', in a clone: pip install '.[{extra}]'"
        super().__init__(f"{what} needs an optional library", f"{instead}; or {hint}" if instead else hint)


class TargetError(JupyterctlError):
    """The place, or the way to it, failed."""


class NoRunnerError(TargetError):
    """No Python environment at the place has papermill, which executes notebooks."""


class StartingError(TargetError):
    """What is asked for is not there yet: it comes up by itself."""


class UnreachableError(TargetError):
    """The place does not answer; what runs there goes on or not, nobody can tell."""
