"""The person at the terminal, when a login asks for something."""

from __future__ import annotations

import click

from ..core.plain import printable
from ..transport.ssh.way import Question
from . import ask, diagnostics


def answer(question: Question) -> str | None:
    """What the person types; None where nobody is there. A host key is accepted or declined, by yes or no."""
    text = printable(question.text).rstrip()
    if question.kind == "notice":
        diagnostics.info(text)
        return ""
    if not ask.someone():
        return None
    diagnostics.clear()
    if question.kind == "host-key":
        return "yes" if click.confirm(text, default=False, err=True) else "no"
    suffix = " " if text.endswith((":", "?")) else ": "
    typed: str = click.prompt(
        text, default="", hide_input=question.secret, show_default=False, prompt_suffix=suffix, err=True
    )
    return typed
