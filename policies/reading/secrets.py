"""What looks like a password or a key. Nothing here returns or prints what it found."""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache

from policies.judging.resource import UNKNOWN

_WORD = r"(?:pass(?:word|wd|phrase)|secret|(?<!cluster_)(?<!cluster-)token|(?:api|access|private)[_-]?key|auth_pass)"
_REFERENCE = (
    r"(?:[$%{<`*@!&|>\\-]|[\"']|/(?:etc|run|var|root|home|opt|srv|dev|proc|tmp|usr|mnt)/"
    r"|(?:true|false|null|none|no|yes|on|off|string|stdin|prompt|required|optional|files?|compat|systemd|sss|ldap|env|x+)\b)"
)
"""How a value begins that is no secret itself: a variable, a template, a file, a switch, a name service."""
_PATTERNS = (
    re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    # name=value: shells, properties, connection strings; --name value
    re.compile(rf"{_WORD}[\"']?(?:=|:=)[\"']?(?!{_REFERENCE})[^\s\"']{{4,}}", re.IGNORECASE),
    re.compile(rf"--{_WORD}\s+[\"']?(?!{_REFERENCE})[^\s\"']{{4,}}", re.IGNORECASE),
    # name: value, alone on its line, or in JSON
    re.compile(
        rf"^[\s-]*[\"']?[\w.-]*{_WORD}[\"']?\s*:\s+[\"']?(?!{_REFERENCE})[^\s\"']{{4,}}[\"']?\s*,?\s*$",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(rf"[\"'][\w.-]*{_WORD}[\"']\s*:\s*[\"'](?!{_REFERENCE})[^\"'\s]{{4,}}[\"']", re.IGNORECASE),
    re.compile(rf"[{{,]\s*[\w.-]*{_WORD}\s*:\s*(?!{_REFERENCE})[^\s\"',}}]{{4,}}\s*[,}}]", re.IGNORECASE),
    # what programs take without such a name
    re.compile(r"\b\w[\w+.-]*://[^/\s:@\"'$<{]+:(?![$%{<*])[^/\s@\"']{3,}@"),
    re.compile(r"\bsshpass\s+-p\s*[\"']?(?![\"']?\$)\S+"),
    re.compile(r"\b(?:curl|wget)\b[^\n|;]*\s(?:-u|--user)[ =]?[\"']?[^\s:\"'$]+:(?!\$)[^\s\"']{3,}"),
    re.compile(r"\b(?:PASSWORD|IDENTIFIED\s+BY)\s+(?:E)?'(?![$%{<])[^']{4,}'", re.IGNORECASE),
    re.compile(r"^[^\n#]*\b[\w.-]+:(?![$%{<])[^\s\"'|:]{4,}[\"']?\s*\|\s*(?:sudo\s+)?chpasswd\b", re.MULTILINE),
    re.compile(r"\bAuthorization:\s*(?:Bearer|Basic)\s+(?![$%{<])\S{8,}", re.IGNORECASE),
    re.compile(
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20}|xox[abpr]-[\w-]{10,}|pul-[0-9a-f]{40})\b"
    ),
)
_CHPASSWD = re.compile(r"^chpasswd:\n(?:[ \t]+[^\n]*\n)*?[ \t]+(?:- )?[\w.-]+:(?!\$)\S{4,}\s*$", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z0-9+/_=.~-]{20,}")
_PUBLIC = re.compile(r"[0-9a-fA-F-]+|[A-Z0-9_]+|[a-z0-9._/-]+|\d[\d.]*")
"""Checksums, UUIDs, serial numbers, names, paths, versions."""
_DISORDER_BITS = 3.9
"""Bits per character from which on a word of 20 characters is rather drawn by chance than written by somebody."""


@lru_cache(maxsize=4096)
def in_text(text: str) -> bool:
    """Whether a text holds a key, or a password after a name that says so; servers share most of their scripts."""
    return any(pattern.search(text) for pattern in _PATTERNS) or bool(_CHPASSWD.search(text))


def in_value(name: str, value: object) -> bool:
    """Whether a named value (of an environment, of outputs) is a secret, or holds one."""
    return any(in_text(one) or in_text(f"{key}={one}") or _is_drawn(one) for key, one in _leaves(name, value))


def has_unknown(value: object) -> bool:
    """Whether a value, or something in it, isn't known yet."""
    return value is UNKNOWN or (
        any(map(has_unknown, value.values() if isinstance(value, dict) else value))
        if isinstance(value, dict | list | tuple)
        else False
    )


def _leaves(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(str(key), one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(name, one)
    elif isinstance(value, str):
        yield name, value
        if value[:1] in ("{", "["):
            try:
                yield from _leaves(name, json.loads(value))
            except (json.JSONDecodeError, RecursionError):
                return


def _is_drawn(word: str) -> bool:
    """Whether a word looks drawn by chance: long, of small and capital letters and digits, without order."""
    if not _TOKEN.fullmatch(word) or _PUBLIC.fullmatch(word):
        return False
    if not (re.search(r"[a-z]", word) and re.search(r"[A-Z]", word) and re.search(r"\d", word)):
        return False
    counts = [word.count(letter) for letter in set(word)]
    return -sum(one / len(word) * math.log2(one / len(word)) for one in counts) >= _DISORDER_BITS
