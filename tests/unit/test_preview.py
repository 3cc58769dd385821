"""Outputs of cells, read from a result and drawn for a terminal."""

from __future__ import annotations

import base64
import io

import pytest
from rich.console import Console

from jupyterctl.core import outputs
from jupyterctl.core.outputs import Output
from jupyterctl.tui.widgets.preview import MOST_TEXT, draw, preview, table

Image = pytest.importorskip("PIL.Image")


def picture(width=4, height=2) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), (255, 0, 0)).save(data, "PNG")
    return data.getvalue()


def shown(*given: Output, blocks=True) -> str:
    console = Console(width=60, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(preview(given, 60, blocks=blocks))
    return console.file.getvalue()


def test_the_richest_form_is_taken():
    png = base64.b64encode(picture()).decode()
    display = {"output_type": "display_data", "data": {"text/plain": ["<Fig", "ure>"], "image/png": png}}
    taken = outputs._output(display)
    assert (taken.mime, taken.plain, taken.data) == ("image/png", "<Figure>", picture())


@pytest.mark.parametrize("broken", [{}, {"output_type": "display_data"}, {"output_type": "stream", "text": 3},
                                    {"output_type": "display_data", "data": {"image/png": "§§§"}}])  # fmt: skip
def test_broken_outputs_do_no_harm(broken):
    assert isinstance(shown(outputs._output(broken)), str)


def test_colours_stay_and_nothing_steers():
    text = shown(Output(mime="text/plain", text="\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07 [/not markup]"))
    assert "\x1b[31mred" in text
    assert "\x1b[2J" not in text
    assert "title" not in text
    assert "[/not markup]" in text


def test_tables_markdown_and_long_texts():
    html = "<style>x</style><table><tr><th></th><th>[/a]</th></tr><tr><td>0</td><td>1 &lt; 2</td></tr></table>"
    assert table(html) == [["", "[/a]"], ["0", "1 < 2"]]
    assert "1 < 2" in shown(Output(mime="text/html", text=html))
    assert "as text" in shown(Output(mime="text/html", text="<b>no table</b>", plain="as text"))
    assert "title" in shown(Output(mime="text/markdown", text="# title"))
    assert "5 characters more" in shown(Output(mime="text/plain", text="x" * (MOST_TEXT + 5)))


def test_pictures_are_drawn_two_pixels_a_character():
    drawn = draw(picture(4, 4), 10)
    assert drawn is not None
    assert drawn.plain == "▀▀▀▀\n▀▀▀▀\n"
    assert "▀" not in shown(Output(mime="image/png", data=picture()), blocks=False)
    assert "image/png" in shown(Output(mime="image/png", data=b"no picture"))
