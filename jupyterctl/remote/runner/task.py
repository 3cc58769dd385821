"""What is to be done: `params.json`, and the secrets that must not be written anywhere."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict

SHORTEST_SECRET = 4
"""Shorter values are not masked: they would be found everywhere."""
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
FORMAT = """
    application/json cell_type cells code code_cell codemirror_mode collapsed data display_data display_name ename
    error evalue execute_result execution_count file_extension html image/png image/svg+xml kernelspec language
    language_info markdown metadata mime mimetype name nbconvert_exporter nbformat nbformat_minor output_type outputs
    papermill pygments_lexer source status stderr stdout stream tags text text/html text/plain traceback version
"""
_WORDS = frozenset(FORMAT.split())
"""Words of the notebook format: they stand in every notebook, and a notebook without them is none."""


class Task:
    """What `params.json` asks for; times in seconds."""

    def __init__(self, directory: Path) -> None:
        given = json.loads((directory / "params.json").read_text(encoding="utf-8"))
        self.directory = directory
        self.run: str = given["run"]
        self.parameters: dict[str, object] = given.get("parameters") or {}
        self.secret_parameters: list[str] = given.get("secret_parameters") or []
        self.language: str = given.get("language") or "python"
        self.kernel: str = given.get("kernel") or "auto"
        self.kernel_python: str = given.get("kernel_python") or sys.executable
        self.workdir: str = given.get("workdir") or str(directory / "files")
        self.timeout: float | None = given.get("timeout")
        self.cell_timeout: float | None = given.get("cell_timeout")
        self.start_timeout: float = given.get("start_timeout") or 60.0
        self.grace: float = given.get("grace") or 10.0
        self.retries: int = given.get("retries") or 0
        self.output: str | None = given.get("output")
        self.mask = Mask([os.environ[name] for name in given.get("secrets") or [] if name in os.environ])


class Mask:
    """Replaces secret values, and each line of one that has several, by `***` in everything that is written.

    A value is known as well as Python's `repr` and JSON write it.
    """

    def __init__(self, values: list[str]) -> None:
        parts = {line for value in values for line in [value, *value.splitlines()] if len(line) >= SHORTEST_SECRET}
        quoted = {written[1:-1] for part in parts for written in (repr(part), json.dumps(part))}
        self.parts = sorted(parts | quoted, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without any secret."""
        for part in self.parts:
            text = text.replace(part, "***")
        return text

    def document(self, text: str) -> str:
        """The same for each string of a JSON document, however it is escaped; numbers and the format's words stay."""
        return _STRING.sub(self._string, text) if self.parts else text

    def _string(self, match: re.Match[str]) -> str:
        written = match[0]
        said = json.loads(written) if "\\" in written else written[1:-1]
        masked = said if said in _WORDS else self.text(said)
        return written if masked == said else json.dumps(masked, ensure_ascii=False)

    def fields(self, fields: Dict[str, Any]) -> Dict[str, Any]:
        """The same for the values of an event."""
        return json.loads(self.document(json.dumps(fields))) if self.parts else fields
