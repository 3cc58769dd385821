"""What a run takes along, and what stays."""

import os

import pytest

from jupyterctl.core.bundle import gather, megabytes
from jupyterctl.core.notebook import Cell, Notebook
from jupyterctl.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    """A project as people have them."""
    files = {
        "data/x.csv": "a,b\n", "data/y.csv": "", "data/deep/z.csv": "", "conf/a.yml": "", "out.csv": "old",
        "helper.py": "open('lookup.txt')", "lookup.txt": "", ".hidden.csv": "", ".git/config": "", "мой файл.txt": "",
        "a b/c d.txt": "", "data/__pycache__/x.csv": "", "x[1].csv": "",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "beyond.csv").write_text("")
    return tmp_path / "p"


@pytest.fixture
def notebook(folder):
    def make(*sources, language="python"):
        cells = [Cell(kind="code", source=source, index=index) for index, source in enumerate(sources)]
        return Notebook(path=folder / "a.ipynb", cells=tuple(cells), language=language)

    return make


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("open('data/x.csv')", ["data/x.csv"]),
        ("open('./data/../data/x.csv')", ["data/x.csv"]),
        ("pd.read_csv('data/x.csv', sep=',')", ["data/x.csv"]),
        ("Path('conf') / 'a.yml'", ["conf/a.yml"]),
        ("Path('data', 'deep') / 'z.csv'", ["data/deep/z.csv"]),
        ("os.path.join('data', 'x.csv')", ["data/x.csv"]),
        ("root = 'data'\nopen(f'{root}/x.csv')", ["data/x.csv"]),
        ("root: str = 'data'\nopen(root + '/y.csv')", ["data/y.csv"]),
        ("ROOT = Path('data')\nDEEP = ROOT / 'deep'\n(DEEP / 'z.csv').read_text()", ["data/deep/z.csv"]),
        ("glob.glob('data/*.csv')", ["data/x.csv", "data/y.csv"]),
        ("Path('data').glob('*.csv')", ["data/x.csv", "data/y.csv"]),
        ("Path('data').rglob('*.csv')", ["data/deep/z.csv", "data/x.csv", "data/y.csv"]),
        ("import helper", ["helper.py", "lookup.txt"]),
        ("open('мой файл.txt'), open('a b/c d.txt')", ["a b/c d.txt", "мой файл.txt"]),
        ("df.to_csv('out.csv')\nopen('out.csv', 'w')\nplt.savefig('out.csv')", []),
        ("open('out.csv', mode='rb')", ["out.csv"]),
        ("open('not there.csv')\nx = 'data/' + name", []),
        ("'a.ipynb'", []),
        ("x = '*'\nx = 'data/*.csv'", []),
        ("'" + "a" * 5000 + "'", []),
        ("open('x\\0y')\nopen('')", []),
        ("%%bash\ncat data/x.csv", []),
    ],
)
def test_files_that_cells_name(notebook, folder, source, files):
    (folder / "a.ipynb").write_text("{}")
    gathered = gather(notebook(source))
    assert list(gathered.files) == files
    assert all(gathered.files[name] == folder / name for name in files)


def test_a_name_set_in_one_cell_is_known_in_the_next(notebook):
    assert list(gather(notebook("ROOT = 'data'", "x = = 1", "open(ROOT + '/x.csv')")).files) == ["data/x.csv"]


def test_sizes_are_added(notebook, folder):
    (folder / "data/x.csv").write_bytes(b"x" * 1234)
    (folder / "lookup.txt").write_bytes(b"x" * 66)
    assert gather(notebook("open('data/x.csv'); open('lookup.txt')")).bytes == 1300


def test_what_lies_outside_stays_and_is_told(notebook, folder, tmp_path):
    outside = str(tmp_path / "beyond.csv")
    gathered = gather(notebook(f"open('../beyond.csv'); open({outside!r}); open({str(folder / 'out.csv')!r})"))
    assert gathered.files == {}
    assert [(one.path, one.reason) for one in gathered.skipped] == [
        ("../beyond.csv", "it is outside the notebook's folder"),
        (outside, "its path is absolute"),
        (str(folder / "out.csv"), "its path is absolute"),
    ]


def test_a_folder_is_told_unless_something_of_it_goes(notebook):
    (skipped,) = gather(notebook("os.listdir('data')")).skipped
    assert (skipped.path, "--include 'data/**'" in skipped.reason) == ("data", True)
    assert gather(notebook("Path('data').glob('*.csv')")).skipped == ()


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("data/*.csv", ["data/x.csv", "data/y.csv"]),
        ("**/*.csv", ["data/deep/z.csv", "data/x.csv", "data/y.csv", "out.csv", "x[1].csv"]),
        ("data/**", ["data/deep/z.csv", "data/x.csv", "data/y.csv"]),
        ("data", ["data/deep/z.csv", "data/x.csv", "data/y.csv"]),
        ("./data/deep/", ["data/deep/z.csv"]),
        ("x[1].csv", ["x[1].csv"]),
        (".hidden.csv", [".hidden.csv"]),
        (".*.csv", [".hidden.csv"]),
        (".git/**", [".git/config"]),
        ("мой*", ["мой файл.txt"]),
    ],
)
def test_includes(notebook, pattern, files):
    assert list(gather(notebook(), [pattern]).files) == files


def test_includes_keep_nothing_hidden_that_is_not_named(notebook):
    assert not [name for name in gather(notebook(), ["**"]).files if name.startswith(".") or "pycache" in name]


@pytest.mark.parametrize("pattern", ["nothing*", "../beyond.csv", "/etc/passwd", "data/../../beyond.csv"])
def test_an_include_that_brings_nothing_is_an_error(notebook, folder, pattern):
    with pytest.raises(UsageError) as caught:
        gather(notebook(), [pattern])
    assert pattern in caught.value.message
    assert str(folder) in caught.value.hint


def test_links(notebook, folder, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x.csv").write_text("far")
    (folder / "loop").symlink_to(folder)
    (folder / "far").symlink_to(tmp_path / "far")
    (folder / "gone.csv").symlink_to(folder / "nowhere")
    gathered = gather(notebook("open('far/x.csv'); open('gone.csv')"), ["**/*.csv"])
    assert "far/x.csv" in gathered.files
    assert not [name for name in gathered.files if name.startswith("loop")]
    assert "gone.csv" not in gathered.files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "A=1"), ("prod.env", "A=1"), ("id_rsa", "x"), ("key.pem", "x"), ("credentials.json", "{}"),
        ("my-credentials-2.json", "{}"), ("kubeconfig", "x"), (".netrc", "x"), ("Client_Secret.json", "{}"),
        ("notes.txt", "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n"), ("conf.txt", "id = AKIA" + "A" * 16),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_stays_unless_named(notebook, folder, name, text):
    (folder / name).write_text(text)
    for gathered in (gather(notebook(f"open({name!r})")), gather(notebook(f"open({name!r})"), [f"{name[:2]}*"])):
        assert name not in gathered.files
        assert gathered.suspicious == (name,)
    gathered = gather(notebook(f"open({name!r})"), [name])
    assert name in gathered.files
    assert gathered.suspicious == ()


def test_what_only_sounds_like_a_secret_goes(notebook, folder):
    for name in (".env.example", "credentials.py", "key.pub", "monkey.csv"):
        (folder / name).write_text("x = 1")
    source = "open('.env.example'); import credentials; open('key.pub'); open('monkey.csv')"
    assert sorted(gather(notebook(source)).files) == [".env.example", "credentials.py", "key.pub", "monkey.csv"]


def test_too_much_is_refused_with_the_largest_named(notebook, folder):
    (folder / "data/x.csv").write_bytes(b"x" * 3000)
    book = notebook("open('data/x.csv'); open('out.csv')")
    with pytest.raises(UsageError) as caught:
        gather(book, limit=2000)
    assert "take 3.0 kB along, and 2.0 kB is the limit; the largest: `data/x.csv` (3.0 kB)" in caught.value.message
    assert "--include 'data/x.csv'" in caught.value.hint
    for gathered in (gather(book, limit=None), gather(book, ["data/x.csv"], limit=2000)):
        assert set(gathered.files) == {"data/x.csv", "out.csv"}
    with pytest.raises(UsageError, match="is the limit"):
        gather(book, ["data/*"], limit=2000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_told(notebook, folder):
    (folder / "out.csv").chmod(0)
    assert [one.path for one in gather(notebook("open('out.csv')")).skipped] == ["out.csv"]


def test_other_languages_bring_only_what_is_included(notebook):
    assert list(gather(notebook("open('out.csv')", language="julia"), ["lookup.txt"]).files) == ["lookup.txt"]


def test_sizes_as_people_read_them():
    assert [megabytes(size) for size in (0, 999, 1000, 2_500_000, 3 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "3000.0 GB",
    ]
