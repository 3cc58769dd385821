"""Logging in, in the order that ssh does it: keys of the agent, keys in files, the machine's own questions, a password.

All of it in one connection. A person is asked only for what the machine has said it would take.
"""

from __future__ import annotations

from paramiko import SSHException

from ...errors import JupyterctlError, UnreachableError
from .agent import AgentError, open_agent
from .asking import Asker, nobody
from .dialogue import Dialogue, Outcome, Prompts
from .keys import Key, UnusableError, gather, load, public_half, signer
from .route import Route
from .way import Question, RefusedError

PASSPHRASE_TRIES = 3


class Login:
    """One login, and what was tried for it."""

    def __init__(self, dialogue: Dialogue, route: Route, asker: Asker) -> None:
        self._dialogue, self._route, self._asker = dialogue, route, asker
        self._agent = open_agent(route.identity_agent)
        self._keys = gather(route, self._agent)
        self._done: set[str] = set()
        self._prompts_left = route.password_prompts
        self.tried: list[str] = []
        """In words, for the error."""
        self.notes: list[str] = []
        """Why something was not tried."""
        self.by = ""
        """What let us in, in words."""

    def run(self) -> None:
        """Log in; RefusedError where the machine does not let us, with what was tried."""
        try:
            if self._dialogue.begin() is not Outcome.YES:
                self._try_all()
        except SSHException as error:
            raise self._cut_off(error) from error
        finally:
            if self._agent:
                self._agent.close()

    def _try_all(self) -> None:
        while (method := self._next_method()) is not None:
            outcome = getattr(self, "_" + method.replace("-", "_"))()
            if outcome is Outcome.YES:
                self.by = self.by or method
                return
            if outcome is Outcome.PARTLY:
                self._done.discard("password")
                self._done.discard("keyboard-interactive")
            else:
                self._done.add(method)
        raise self._refused()

    def _next_method(self) -> str | None:
        """The first of ours that the machine takes, and that is not used up."""
        ours = (each for each in self._route.authentications if hasattr(self, "_" + each.replace("-", "_")))
        return next((each for each in ours if each in self._dialogue.methods and each not in self._done), None)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _publickey(self) -> Outcome:
        for key in self._keys:
            outcome = self._with(key)
            if outcome is not Outcome.NO:
                self.by = key.name
                return outcome
            if "publickey" not in self._dialogue.methods:
                break
        return Outcome.NO

    def _with(self, key: Key) -> Outcome:
        try:
            if key.blob is None:
                self._open(key)
            if key.blob is None:
                return Outcome.NO
            self.tried.append(f"`{key.name}`")
            if not self._dialogue.takes(key.blob):
                return Outcome.NO
            if key.sign is None:
                self._open(key)
            return self._dialogue.prove(key)
        except (UnusableError, AgentError) as error:
            self.notes.append(error.message)
        except SSHException as error:
            if not self._dialogue.alive:
                raise
            self.notes.append(f"`{key.name}` cannot sign: {error}")
        return Outcome.NO

    def _open(self, key: Key) -> None:
        """Read the private key, its passphrase asked for where it has one."""
        found = load(key.file, None)
        question = Question(kind="passphrase", text=f"passphrase of {key.file}", about=key.file)
        for attempt in range(PASSPHRASE_TRIES):
            if found is not None:
                break
            if attempt:
                question = Question(
                    kind="passphrase", text=f"{question.text.partition(' (')[0]} (that was not it)", about=key.file
                )
            passphrase, _kept = self._asker.secret(question)
            self._dialogue.rested()
            if passphrase is None:
                self.notes.append(f"`{key.file}` needs its passphrase")
                return
            found = load(key.file, passphrase)
            self._asker.wrong(question) if found is None else self._asker.right(question)
        if found is None:
            self.notes.append(f"the passphrase of `{key.file}` was wrong")
            return
        key.blob = key.blob or public_half(found)
        key.sign = signer(found)

    # -- what a person types ------------------------------------------------------------------------------------------

    def _password(self) -> Outcome:
        text = f"password of {self._route.login}"
        question = Question(kind="password", text=text, about=self._route.login)
        for _ in range(self._route.password_prompts):
            password, _kept = self._asker.secret(question)
            self._dialogue.rested()
            if password is None:
                return Outcome.NO
            self._tried_once("the password")
            outcome = self._dialogue.password(password)
            if outcome is not Outcome.NO:
                self._asker.right(question)
                return outcome
            self._asker.wrong(question)
            if self._dialogue.password_expired:
                self.notes.append("the password has expired and must be changed")
                break
            if "password" not in self._dialogue.methods:
                break
            question = Question(kind="password", text=f"{text} (that was not it)", about=self._route.login)
        return Outcome.NO

    def _keyboard_interactive(self) -> Outcome:
        for _ in range(self._route.password_prompts):
            self._asked_anything = False
            outcome = self._dialogue.interactive(self._answers)
            if outcome is None or not self._asked_anything:
                return outcome or Outcome.NO
            self._tried_once("what it asked for")
            if outcome is not Outcome.NO or "keyboard-interactive" not in self._dialogue.methods:
                return outcome
        return Outcome.NO

    _asked_anything = False

    def _answers(self, title: str, instruction: str, prompts: Prompts) -> list[str] | None:
        """The person's answers to the machine's own words."""
        answers = []
        before = "\n".join(filter(None, (plain(title).strip(), plain(instruction).strip())))
        for text, seen in prompts:
            self._asked_anything = True
            words = "\n".join(filter(None, (before, plain(text))))
            answer = self._asker(Question(kind="prompt", text=words, secret=not seen, about=self._route.login))
            if answer is None:
                return None
            answers.append(answer)
            before = ""
        return answers

    def _tried_once(self, words: str) -> None:
        if words not in self.tried:
            self.tried.append(words)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _refused(self) -> RefusedError:
        route = self._route
        if self._asker.unanswered is not None:
            return nobody(self._asker.unanswered, route)
        message = f"`{route.login}` refuses the login: {self._what_was_tried()}"
        if self.notes:
            message += f"; {'; '.join(dict.fromkeys(self.notes))}"
        return RefusedError(message, self._hint())

    def _what_was_tried(self) -> str:
        allowed = ", ".join(self._dialogue.methods) or "nothing"
        return f"tried {', '.join(self.tried) or 'nothing'}; it takes {allowed}"

    def _hint(self) -> str:
        if "publickey" in self._dialogue.methods and not self.tried:
            return f"put a key there: ssh-copy-id {self._route.name}; or name one by IdentityFile"
        return f"is `{self._route.user}` the right user, and the key known there? see: ssh -v {self._route.name}"

    def _cut_off(self, error: Exception) -> JupyterctlError:
        """The machine ended the connection during the login, or the line did."""
        if not self._dialogue.parting:
            return UnreachableError(
                f"`{self._route.login}`: the connection ended during the login: {error}", "try again"
            )
        if "too many" in str(error).lower():
            return RefusedError(
                f"`{self._route.login}` gave up after {len(self.tried)} keys: {error}",
                "name the right key by IdentityFile, with IdentitiesOnly yes, in the ssh configuration",
            )
        return RefusedError(
            f"`{self._route.login}` ended the connection: {error}; tried {', '.join(self.tried) or 'nothing'}",
            f"see: ssh -v {self._route.name}",
        )


def plain(text: str) -> str:
    r"""A machine's words without what a terminal would act on.

    >>> plain("Code: \x1b[31m\r\n")
    'Code: [31m\n'
    """
    return "".join(character for character in text if character.isprintable() or character in "\n\t")
