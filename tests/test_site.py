"""The site says all there is, and links to what there is; ``make docs`` builds it, where warnings are errors."""

import re
import shlex
from pathlib import Path

import pytest

import convarium as cv
from convarium._cli import run
from convarium._cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
MODULES = {"convarium": cv} | {
    f"convarium.{name}": getattr(cv, name)
    for name in ("blockwise", "convert", "distributed", "export", "grad", "matrix", "models", "nn", "signal")
}


def test_every_public_name_is_in_the_reference():
    said = set(
        re.findall(r"auto(?:function|class):: ([\w.]+)", "".join(path.read_text() for path in (DOCS / "api").iterdir()))
    )
    at_top = {name for name in cv.__all__ if f"convarium.{name}" not in MODULES}
    expected = {
        f"{module}.{name}"
        for module, members in MODULES.items()
        for name in (at_top if members is cv else set(members.__all__) - at_top)
    }
    expected |= {f"convarium.blockwise.{name}" for name in cv.blockwise.__all__}  # its convolve is another one
    assert said == expected


def test_every_command_is_in_the_table():
    table = (DOCS / "commands.md").read_text()
    assert set(re.findall(r"\| `convarium (\w+)", table)) == {
        command.name for command in [*app.registered_commands, *app.registered_groups]
    }


def test_every_page_is_in_the_contents():
    contents = re.findall(r"^[\w/]+$", (DOCS / "index.md").read_text(), re.MULTILINE)
    pages = [path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES]
    assert sorted([*contents, "index"]) == pages


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text) + re.findall(r"\{\w*include\} (\S+)", text):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), target
    steps = set(re.findall(r'id: "([\w-]+)"', (DOCS.parent / "page" / "src" / "tour.ts").read_text()))
    for step in re.findall(r'src="look\.html#?([\w-]*)"', text):
        assert not step or step in steps, step


def _commands():
    """What can be run as it is written: the others need a file or a run of the reader's."""
    for path in [*PAGES, DOCS.parent / "README.md"]:
        for line in re.findall(r"(?:^    |`)(convarium [^`\n#]+)", path.read_text(), re.MULTILINE):
            if line.split()[1] in ("plan", "explain", "graph") and len(line.split()) > 2 and "--draw" not in line:
                yield line.split(";")[0].strip()


@pytest.mark.parametrize("line", sorted(set(_commands())))
def test_commands_run_as_they_are_written(line, capsys):
    assert run(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out.strip()
