"""The runbooks: the same in both languages, with commands that exist and links that lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from blueprint.loading import settings_from_file
from cli.app import app
from drills.faults import CATALOGUE

REPOSITORY = Path(__file__).parents[2]
ENGLISH = REPOSITORY / "docs" / "runbooks"
SPANISH = ENGLISH / "es"
INDEX = "README.md"
HEADINGS = {
    ENGLISH: ["You see", "It means", "By itself", "Do", "It is over when"],
    SPANISH: ["Qué se ve", "Qué significa", "Qué hace el sistema solo", "Qué hacer", "Ha terminado cuando"],
}
PAGES = sorted(file.name for file in ENGLISH.glob("*.md") if file.name != INDEX)
EVERY = [folder / name for folder in HEADINGS for name in (INDEX, *PAGES)]


def code(text: str) -> list[str]:
    """The lines of a page that are to be typed."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()]


def commands(text: str) -> list[list[str]]:
    """The words of every `./perenne …` of a page, up to a pipe or a redirection."""
    found = []
    for line in [*code(text), *re.findall(r"`(\./perenne [^`]+)`", text)]:
        words = shlex.shlex(line, posix=True, punctuation_chars="|<>;")
        words.whitespace_split = True
        typed = list(words)
        end = next((place for place, word in enumerate(typed) if word in set("|<>;")), len(typed))
        if typed[0] == "./perenne":
            found.append(typed[1:end])
    return found


def parse(words: list[str]) -> tuple[str, list[str], Any]:
    """Have the command line's own parser read them, and run nothing."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    name, *rest = words
    return name, rest, group.commands[name].make_context(name, list(rest))


def test_both_languages_have_the_same_pages() -> None:
    assert sorted(file.name for file in SPANISH.glob("*.md")) == sorted([INDEX, *PAGES])


@pytest.mark.parametrize("name", [INDEX, *PAGES])
def test_both_languages_have_the_same_commands_and_steps(name: str) -> None:
    english, spanish = (ENGLISH / name).read_text(), (SPANISH / name).read_text()
    assert code(english) == code(spanish)
    assert commands(english) == commands(spanish)
    steps = re.compile(r"^ *\d+\.", re.MULTILINE)
    assert steps.findall(english) == steps.findall(spanish)
    links = re.compile(r"\]\((?:\.\./)*([^)]+)\)")
    assert sorted(links.findall(english.replace("es/README", "README"))) == sorted(links.findall(spanish))


@pytest.mark.parametrize("page", EVERY, ids=lambda page: str(page.relative_to(ENGLISH)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve()
        assert linked.is_file(), target
        titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, target


@pytest.mark.parametrize("folder", HEADINGS, ids=["english", "spanish"])
def test_the_index_names_every_page(folder: Path) -> None:
    assert sorted(set(re.findall(r"\]\(([a-z-]+\.md)\)", (folder / INDEX).read_text()))) == PAGES


@pytest.mark.parametrize("page", [page for page in EVERY if page.name != INDEX], ids=lambda page: f"{page.stem}")
def test_a_page_answers_the_five_questions_in_order(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
    wanted = HEADINGS[page.parent]
    assert [heading for heading in headings if heading in wanted] == wanted


@pytest.mark.parametrize("name", [INDEX, *PAGES])
def test_every_command_is_one_that_the_program_takes(name: str) -> None:
    settings = settings_from_file(REPOSITORY / "Pulumi.prod.yaml")
    for words in commands((ENGLISH / name).read_text()):
        command, rest, context = parse(words)
        if command in ("ssh", "logs"):
            assert context.params["option"] == "prod", words
            assert context.params["name"] in {*settings.servers, *settings.hosts}, words
        elif command == "drill":
            assert set(rest) <= CATALOGUE.keys() or rest[0].isupper(), words
        elif rest:
            assert context.params["stack"] == "prod", words


def test_what_a_server_is_to_run_arrives_whole() -> None:
    page = (ENGLISH / "restore.md").read_text()
    (typed,) = [words for words in commands(page) if "psql" in words]
    _, _, context = parse(typed)
    told = ["runuser", "-u", "postgres", "--", "psql", "-v", "ON_ERROR_STOP=1", "--single-transaction"]
    assert context.args == [*told, "-d", "pnp-manager", "-f", "-"]
