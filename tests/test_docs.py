"""The documents tell the truth about files, commands and the version, and tell nothing about one machine."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import volest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/**/*.md")])
SKIPPED_FOLDERS = {".git", ".venv", "build", "dist", "__pycache__"}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def tracked_files() -> list[Path]:
    """The files under version control, or all outside of build folders where there is no git."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
        paths = [ROOT / name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not SKIPPED_FOLDERS & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


def tracked_texts() -> list[tuple[str, str]]:
    """Name and content of each tracked file that is text."""
    texts = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts.append((page_id(path), content.decode("utf-8", "replace")))
    return texts


def relative_links(page: Path) -> list[str]:
    """Targets of the page's Markdown links and HTML images that lie in the repository."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(<?([^)\s>]+)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)
    return [target for target in targets if not re.match(r"[a-z]+:|#", target)]


def headings(page: Path) -> set[str]:
    """The anchors that the page's headings make."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def shell_commands(text: str) -> list[list[str]]:
    """The arguments of each `volest ...` command in the text's sh blocks; those with placeholders are left out."""
    commands = []
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] != ["volest"] or any("..." in word or word.startswith("[") for word in words):
                continue
            end = next((i for i, word in enumerate(words) if re.match(r"[|<>&;]|2>", word)), len(words))
            commands.append(words[1:end])
    return commands


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for target in relative_links(page):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page_id(page)} links to {target}"
        assert not anchor or linked.suffix != ".md" or anchor in headings(linked), (
            f"{page_id(page)}: no heading {target}"
        )


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_are_understood(page: Path) -> None:
    from volest.cli import parser

    for arguments in shell_commands(page.read_text("utf-8")):
        try:
            parser().parse_args(arguments)
        except SystemExit as stop:  # --help and --version end with 0, what is not understood with 2
            if stop.code:
                pytest.fail(f"{page_id(page)}: volest {shlex.join(arguments)}")


def test_commands_are_found() -> None:
    lines = [
        "volest demo   # all of it",
        "$ volest estimate a.pcd \\",
        "  --json | jq .status",
        "volest verb FILE...",
        "ls",
    ]
    assert shell_commands("\n".join(["```sh", *lines, "```"])) == [["demo"], ["estimate", "a.pcd", "--json"]]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make (\w+)", page.read_text("utf-8"), flags=re.MULTILINE)) <= targets


def test_readme_shows_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {"make demo", "make test"} <= set(re.findall(r"make \w+", readme))


def test_the_version_stands_in_one_place() -> None:
    # Prose and recorded results may name a version; what is built or run may not.
    built = re.compile(r"\.(py|pyi|toml|cpp|h|hpp|in)$|CMakeLists\.txt$|^scripts/|^\.ci/|^Makefile$")
    stands = re.compile(rf"(?<![\w.]){re.escape(volest.__version__)}(?![\w.])")
    assert [name for name, text in tracked_texts() if built.search(name) and stands.search(text)] == [
        "volest/_version.py"
    ]


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## \[{re.escape(volest.__version__)}\]", changelog, flags=re.MULTILINE)


def test_no_file_names_one_machine() -> None:
    # Put together here, so that this file holds none of them.
    paths = "|".join(f"/{folder}/" for folder in ("work", "root"))
    hosts = "|".join(
        re.escape(f"{host}.org") for host in ("pypi", "files.pythonhosted", "deb.debian", "registry.npmjs")
    )
    forbidden = re.compile(rf"(?<![\w.])(?:{paths})|{hosts}")
    assert [(name, found[0]) for name, text in tracked_texts() if (found := forbidden.search(text))] == []
