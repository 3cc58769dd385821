"""The first process of a lab's container: JupyterLab is its child, and it ends as that one does.

    PYTHON contained_lab.py ARGUMENT…

It needs Python 3.8 and JupyterLab, and nothing else of ours but `lab.py` beside it. What its exit code says decides
whether the engine brings the container back: 0 where JupyterLab ended by itself, as it does when nobody uses it; what
killed it otherwise, and 143 where it was asked to end from outside, for then the engine itself may be going down.

As a container's first process it takes in those that others left behind, and its signals are those of the container.
"""

import importlib.util
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NO_LAB = 69
"""Exit code where this Python has no JupyterLab."""
_TOLD = []


def prepare():
    """A home that can be written to, and no traces of a lab that was here before."""
    home = os.environ.get("HOME") or "/"
    if not os.access(home, os.W_OK) or home == "/":
        os.environ["HOME"] = os.path.join(HERE, "home")
    runtime = os.environ["JUPYTER_RUNTIME_DIR"]
    for name in os.listdir(runtime):
        os.unlink(os.path.join(runtime, name))


def install(packages):
    """Have what is missing installed, for everybody where that may be, else for this user."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return
    sys.stderr.write("installing %s\n" % " ".join(missing))
    own = (
        []
        if os.access(os.path.dirname(importlib.util.__file__), os.W_OK) or sys.prefix != sys.base_prefix
        else ["--user"]
    )
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *own, *missing]
    subprocess.call(command, env=dict(os.environ, PIP_BREAK_SYSTEM_PACKAGES="1", PIP_ROOT_USER_ACTION="ignore"))
    importlib.invalidate_caches()


def tell(child, number):
    """Pass a signal on."""
    _TOLD.append(number)
    try:
        child.send_signal(number)
    except OSError:
        pass


def wait(child):
    """Until the child has ended; whatever else ends meanwhile is taken in. Its exit code, as a shell tells it."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            return 128 - code if code < 0 else code


def main(arguments):
    """The exit code."""
    prepare()
    if os.environ.pop("JUPYTERCTL_INSTALL", ""):
        install(["jupyterlab", "ipykernel"])
    child = subprocess.Popen([sys.executable, os.path.join(HERE, "lab.py"), *arguments])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda told, _: tell(child, told))
    code = wait(child)
    return code or (128 + _TOLD[0] if _TOLD else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
