"""The near end of a link: its port on this machine, and the lab that it leads to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Address, Dial
from ..transport import jupyter_api
from .steps import Steps

if TYPE_CHECKING:
    from ..target import Distant
    from ..transport.linked import Opened
    from ..transport.listener import Listener

QUICK_SECONDS, PATIENT_SECONDS = 3.0, 10.0
"""How long the lab may take to answer where it was, and where its machine has just said that it is."""


class GoneError(TargetError):
    """The machine answers, and the lab is not there."""


class NearEnd:
    """Whose port is wanted is listened on from then on, whether or not a way is up.

    `knocked()` hears of clients that wait for one, `absent()` of those that found nobody where the lab was; `story()`
    is what a client is told that has waited in vain.
    """

    def __init__(
        self,
        *,
        knocked: Callable[[], object],
        story: Callable[[], str],
        absent: Callable[[], object],
    ) -> None:
        self.port: int | None = None
        """The one that is wanted, None where there is no link."""
        self.problem: TargetError | None = None
        """Why the port that is wanted cannot be listened on."""
        self.dial: Dial | None = None
        self._hooks = {"wanted": knocked, "story": story, "absent": absent}
        self._listener: Listener | None = None

    def listen(self, port: int, dial: Dial | None = None) -> None:
        """Have that port, and lead to where the lab listens if that is known; TargetError names who has the port."""
        from ..transport.listener import Listener

        if self.port != port:
            self.stop()
        self.dial = dial or self.dial
        if self._listener is not None:
            return
        listener = Listener(port, **self._hooks)  # type: ignore[arg-type] # each is what its name says
        self.port = port
        try:
            listener.start()
        except TargetError as error:
            self.problem = error
            raise
        self._listener, self.problem = listener, None

    def stop(self) -> None:
        """Let go of the port."""
        listener, self._listener = self._listener, None
        self.port = self.dial = self.problem = None
        if listener is not None:
            listener.stop()

    def carry(self, carrier: Opened | None) -> None:
        """Lead there from now on, as far as it is known where; None: let clients wait."""
        if self._listener is None:
            return
        if carrier is None:
            self._listener.use(None)
        elif self.dial is not None:
            self._listener.use(carrier.way, _destination(self.dial))

    def prove(self, target: Distant, carrier: Opened, steps: Steps, *, anew: bool) -> None:
        """See that the lab answers through the link, finding it anew where it does not answer where it was.

        `anew`: its machine may have been started again since it was last found. GoneError where it is not there;
        UnreachableError where that cannot be told, or it does not answer in time.
        """
        steps.begin("server", "")
        answered = self.dial is not None and self._answers(self.dial)
        if not answered:
            self.dial = _find(target, carrier, anew)
        steps.begin("tunnel", f"127.0.0.1:{self.port}")
        self.carry(carrier)
        steps.begin("http", "")
        if not answered and self.dial is not None:
            jupyter_api.status(self._address(self.dial), PATIENT_SECONDS)

    def _answers(self, dial: Dial) -> bool:
        """Whether the lab answers where it was; its machine is asked only where it does not."""
        try:
            jupyter_api.status(self._address(dial), QUICK_SECONDS)
        except JupyterctlError:
            return False
        return True

    def _address(self, dial: Dial) -> Address:
        return Address(url=f"http://127.0.0.1:{self.port}{dial.base_url}", token=dial.token)


def _find(target: Distant, carrier: Opened, anew: bool) -> Dial:
    try:
        return target.dial(carrier, anew=anew)
    except UnreachableError:
        raise
    except JupyterctlError as error:
        raise GoneError(error.message, error.hint) from error


def _destination(dial: Dial) -> Any:
    return dial.socket or (dial.host, dial.port)
