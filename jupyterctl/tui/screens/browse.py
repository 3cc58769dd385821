"""Looking for a notebook: the folders of this machine, with nothing in them but folders and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual import on
from textual.widget import Widget
from textual.widgets import DirectoryTree

from .dialogs import Dialog


class Notebooks(DirectoryTree):
    """Folders and notebooks; what is hidden stays so."""

    ICON_NODE = "+ "
    ICON_NODE_EXPANDED = "- "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """What to show of a folder."""
        return (path for path in paths if not path.name.startswith(".") and (path.suffix == ".ipynb" or _folder(path)))


def _folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


class Browse(Dialog[Path]):
    """Gives the path of the notebook that was picked."""

    title_text = "Which notebook?"

    def __init__(self, start: Path) -> None:
        super().__init__()
        self.start = start

    def body(self) -> Iterable[Widget]:
        """The tree."""
        yield self.text("enter opens a folder or takes a notebook, backspace goes up", id="hint")
        yield Notebooks(self.start)

    def key_backspace(self) -> None:
        """To the folder above."""
        tree = self.query_one(Notebooks)
        tree.path = Path(tree.path).parent

    @on(DirectoryTree.FileSelected)
    def _picked(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)
