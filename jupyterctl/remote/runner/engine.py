"""papermill's engine with our kernel, client and manager, each reporting to the execution.

Importing this module imports papermill, so it is imported when the kernel is coming up already.
"""

from __future__ import annotations

import sys
import time
from queue import Empty
from typing import Any

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager

from .execution import Execution, StoppedError, executes
from .task import Task

IOPUB_SECONDS = 60
"""How long the last outputs of a cell may come after its reply."""


class Engine(NBClientEngine):
    """papermill's own engine; `execution` comes by `papermill.execute_notebook(…, execution=…)`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, *, execution: Execution, **_: Any) -> Any:
        """Execute; whatever happens, the notebook in memory is complete and true afterwards."""
        inject_secrets(nb, execution.task)
        execution.notebook = nb
        manager = Manager(nb, execution)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, execution=execution)
        except StoppedError:
            pass
        finally:
            manager.notebook_complete()
        return nbformat.NotebookNode(nb, cells=list(nb.cells))  # papermill puts markers of its own between the cells

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, execution: Execution, **_: Any) -> None:
        """Attach to the kernel that is coming up and execute the cells."""
        assert execution.kernel is not None  # noqa: S101 - it is made before papermill is imported
        manager = execution.kernel.manager(Ready)
        client = Client(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            startup_timeout=execution.task.start_timeout,
            raise_on_iopub_timeout=False,
            iopub_timeout=IOPUB_SECONDS,
        )
        client.execution = manager.execution = execution
        try:
            client.execute()
        finally:
            execution.client = client.kc


class Ready(AsyncKernelClient):
    """Knows that the kernel is ready by its answers on both channels, without waiting for silence as its base does."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - jupyter_client's signature
        """Ask until kernel_info was answered on shell and its idle status came on iopub.

        RuntimeError where the kernel died or takes too long; StoppedError where the run was stopped meanwhile.
        """
        execution: Execution = self.parent.execution  # type: ignore[union-attr] # its parent is our manager
        reply, request = None, self.kernel_info()
        deadline = time.monotonic() + (timeout or execution.task.start_timeout)
        while True:
            try:
                reply = reply or await self.get_shell_msg(timeout=0.2)
                status = await self.get_iopub_msg(timeout=0.2)
                if (
                    status["parent_header"].get("msg_id") == request
                    and status["content"].get("execution_state") == "idle"
                ):
                    break
            except Empty:
                if reply is not None:  # iopub was not connected yet when the answer went out
                    request, reply = self.kernel_info(), None
            self._give_up(execution, deadline)
        execution.ready(reply["content"])

    @staticmethod
    def _give_up(execution: Execution, deadline: float) -> None:
        if execution.stop_reason:
            raise StoppedError
        if execution.kernel is not None and execution.kernel.process.poll() is not None:
            raise RuntimeError(f"the kernel did not start: {execution.kernel.death()[1]}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the kernel did not answer within {execution.task.start_timeout:g} s")


class Client(PapermillNotebookClient):
    """Reports outputs as they come, and the payload by which `exit()` and `quit()` announce themselves."""

    execution: Execution

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """As nbclient does, then tell the execution of what was added."""
        output = super().process_message(msg, cell, cell_index)
        if output is not None:
            self.execution.cell_output(cell_index, output)
        return output

    async def _async_check_alive(self) -> None:
        """Each second while a cell executes: a cell that says nothing for hours must not keep back what was before."""
        self.execution.saver.catch_up(self.execution.notebook)
        await super()._async_check_alive()

    async def _check_raise_for_error(self, cell: Any, cell_index: int, exec_reply: Any) -> None:
        await super()._check_raise_for_error(cell, cell_index, exec_reply)
        for part in (exec_reply or {}).get("content", {}).get("payload") or ():
            if part.get("source") == "ask_exit":  # `exit(3)` comes as the wish to keep the kernel: 3
                raise CellExecutionError("", "SystemExit", str(part.get("keepkernel", "")))


class Manager(NotebookExecutionManager):
    """Keeps papermill's metadata true and hands every step to the execution, which saves when it pays."""

    def __init__(self, nb: Any, execution: Execution) -> None:
        super().__init__(nb, progress_bar=False)
        self.execution = execution
        self.status: str | None = None

    def save(self, **kwargs: Any) -> None:
        """Saving is the execution's."""

    def autosave_cell(self) -> None:
        """Likewise."""

    def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        """A cell is next; raises where the run must not go on."""
        self.status = None
        self.execution.cell_started(cell, cell_index)
        self.status = "ok"
        super().cell_start(cell, cell_index, **kwargs)

    def cell_exception(self, cell: Any, cell_index: int = 0, exception: Exception | None = None, **kwargs: Any) -> None:
        """A cell raised, by itself or because it was interrupted."""
        self.execution.cell_failed(cell, cell_index, exception)
        if not self.execution.early:
            self.status = "interrupted" if self.execution.stop_reason else "error"
            super().cell_exception(cell, cell_index, exception=exception, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        """A cell is over, or was never begun because the run stops."""
        if self.status is None:
            return
        if isinstance(sys.exc_info()[1], DeadKernelError):
            self.status = "died"
            self.execution.kernel_died(cell_index)
            super().cell_exception(cell, cell_index)
        super().cell_complete(cell, cell_index, **kwargs)
        self.execution.cell_ended(cell, cell_index, self.status)

    def notebook_complete(self, **kwargs: Any) -> None:
        """Leave cells that never ran pending, where papermill would call them completed."""
        pending = [cell for cell in self.nb.cells if executes(cell) and cell.metadata.papermill.status == self.PENDING]
        super().notebook_complete(**kwargs)
        for cell in pending:
            cell.metadata.papermill.status = self.PENDING


def inject_secrets(notebook: Any, task: Task) -> None:
    """Give parameters that are secrets their value by reference to the environment, after the other parameters."""
    if not task.secret_parameters or task.language != "python":
        return
    lines = ["import os", *(f"{name} = os.environ[{name!r}]" for name in task.secret_parameters)]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-secrets"]})
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del cell["id"]
    tagged = [{"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())) for cell in notebook.cells]
    last = max((index for index, tags in enumerate(tagged) if tags), default=-1)
    notebook.cells.insert(last + 1, cell)
