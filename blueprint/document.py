"""A stack file's text as plain data, read as Pulumi's engine reads it (YAML 1.2), and more strictly.

What PyYAML would take without a word is refused with its line: a key that is there twice, of which the last one would
count; a key that is not text; an alias, whose value may be as large as it likes; a word like `yes`, which is a truth
value for PyYAML and text for the engine.
"""

import re
from collections.abc import Iterator

import yaml

from blueprint.mistakes import Mistake, MistakesError

_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}
_TEXT = "tag:yaml.org,2002:str"
_BOOLEAN = "tag:yaml.org,2002:bool"


class _Loader(yaml.CSafeLoader):
    """PyYAML's loader with the truth values of YAML 1.2 (10.3.2)."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own attribute
        first: [(tag, form) for tag, form in resolvers if tag != _BOOLEAN]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


_OPENERS = re.compile(r"[\[{]|[-?]\s")
"""All that lists and maps begin with, but for maps in block style, of which each needs a deeper indentation."""
_MOST = 10_000
"""So many lists and maps in one another libyaml can take: it is recursive, and more overflow its stack."""


def document_of(text: str) -> object:
    """The one document that `text` is; None if there is nothing in it.

    Raises:
        MistakesError: It isn't YAML, or not plain enough; the first mistake, with its line.
    """
    if sum(1 for _ in _OPENERS.finditer(text)) > _MOST:
        raise MistakesError(
            [Mistake("", None, f"has more than {_MOST} lists and maps", "remove those that no site needs")]
        )
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        for mistake in _mistakes_in(root, (), set()):
            raise MistakesError([mistake])
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise MistakesError([_syntax_mistake(error)]) from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, MistakesError):
            raise
        raise MistakesError([Mistake("", None, f"has a value that is none: {error}", "correct it")]) from None
    except RecursionError:
        problem = "has lists or maps in one another, deeper than any stack file needs"
        raise MistakesError([Mistake("", None, problem, "remove the brackets that are too many")]) from None
    finally:
        loader.dispose()


def _mistakes_in(node: yaml.Node, path: tuple[str, ...], seen: set[yaml.Node]) -> Iterator[Mistake]:
    """What is not plain data in `node`, which is found at the keys of `path`."""
    if node in seen:
        yield _mistake(node, path, "repeats another value by an alias (*)", "write the value out")
        return
    seen.add(node)
    if node.tag not in _PLAIN:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        yield _mistake(node, path, f"is read as a {kind}, which no setting is", "put it in quotes if it is text")
    elif isinstance(node, yaml.SequenceNode):
        for position, entry in enumerate(node.value):
            yield from _mistakes_in(entry, (*path, str(position)), seen)
    elif isinstance(node, yaml.MappingNode):
        yield from _mistakes_in_map(node, path, seen)


def _mistakes_in_map(node: yaml.MappingNode, path: tuple[str, ...], seen: set[yaml.Node]) -> Iterator[Mistake]:
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
            shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or map"
            yield _mistake(key, path, f"has the key {shown}, which is not text", "correct it, or put it in quotes")
            continue
        place, line = (*path, key.value), key.start_mark.line + 1
        if key.value in lines:
            problem = f"is there twice, in line {lines[key.value]} too; only one could count"
            yield _mistake(key, place, problem, "remove one of them")
        lines.setdefault(key.value, line)
        yield from _mistakes_in(value, place, seen)


def _mistake(node: yaml.Node, path: tuple[str, ...], problem: str, remedy: str) -> Mistake:
    where = ".".join(path).removeprefix("config.") or "the file"
    return Mistake("", None, f"line {node.start_mark.line + 1}: {where} {problem}", remedy)


def _syntax_mistake(error: yaml.YAMLError) -> Mistake:
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        problem = error.problem or "can't be understood"
        remedy = "correct it there or just above"
        if "\t" in problem or "cannot start any token" in problem:
            remedy = "indent with spaces, not with tabs; put text that begins with @, ` or % in quotes"
        return Mistake("", None, f"line {mark.line + 1}, column {mark.column + 1}: is not YAML: {problem}", remedy)
    return Mistake("", None, f"is not YAML: {' '.join(str(error).split())}", "correct the text")
