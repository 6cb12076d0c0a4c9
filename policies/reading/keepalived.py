"""keepalived's configuration on VMs (RFC 9568, VRRP)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_interface

from policies.reading.guests import GuestFiles

PATH = r"keepalived.*\.conf$"

_TOKEN = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[{}]|\n|[^\s{}]+")
_TRACKERS = {"track_script": "vrrp_script", "track_process": "vrrp_track_process", "track_file": "vrrp_track_file"}


@dataclass(frozen=True)
class Instance:
    """One VRRP instance on one VM."""

    path: str
    name: str
    state: str
    priority: int
    """keepalived's default is 100."""
    router: int | None
    addresses: frozenset[str]
    weights: tuple[int, ...]
    """What it watches (track_script, track_process, track_file), each by its weight: with 0 a failure gives the address
    up, else it only changes the priority."""
    scripts: tuple[str, ...]
    """Paths of the scripts that it watches."""
    nopreempt: bool
    interval: str
    """advert_int, in seconds; keepalived's default is 1."""
    peers: frozenset[str]
    """To whom it sends; empty: to everybody (multicast)."""
    secret: str = field(repr=False)
    """How it proves itself to the others: never in a message."""

    @property
    def preempts(self) -> bool:
        """Whether it takes the address from one with a lower priority; a MASTER does in any case."""
        return not self.nopreempt or self.state == "MASTER"


@dataclass
class _Block:
    words: list[str]
    lines: list["_Block"] = field(default_factory=list)

    def first(self, name: str) -> list[str]:
        """The words behind a keyword; none where it isn't there."""
        return next((line.words[1:] for line in self.lines if line.words[:1] == [name]), [])

    def has(self, name: str) -> bool:
        """Whether a keyword is there."""
        return any(line.words[:1] == [name] for line in self.lines)

    def inside(self, name: str) -> list[list[str]]:
        """The lines of a block."""
        return [line.words for block in self.lines if block.words[:1] == [name] for line in block.lines]


def instances(files: GuestFiles) -> list[Instance]:
    """The VRRP instances that a VM takes part in.

    Raises:
        UndecidedError: Its configuration isn't known yet.
    """
    return _read(files.find(PATH))


def known_instances(files: GuestFiles) -> list[Instance]:
    """The VRRP instances as far as they are known."""
    return _read([(path, text) for path, text in files.contents.items() if re.search(PATH, path)])


def _read(texts: list[tuple[str, str]]) -> list[Instance]:
    parsed = [(path, _parsed(text)) for path, text in texts]
    blocks = [block for _path, top in parsed for block in top.lines if block.words]
    return [
        _instance(path, block, blocks)
        for path, top in parsed
        for block in top.lines
        if block.words[:1] == ["vrrp_instance"] and len(block.words) > 1
    ]


def _instance(path: str, block: _Block, blocks: list[_Block]) -> Instance:
    name = block.words[1]
    groups = [
        one for one in blocks if one.words[0] == "vrrp_sync_group" and any(name in line for line in one.inside("group"))
    ]
    return Instance(
        path,
        name,
        (block.first("state") or ["BACKUP"])[0],
        _number(block.first("priority")) or 100,
        _number(block.first("virtual_router_id")),
        frozenset(_addresses(block.inside("virtual_ipaddress"))),
        tuple(weight for one in (block, *groups) for weight in _weights(one, blocks)),
        tuple(path for one in (block, *groups) for path in _scripts(one, blocks)),
        block.has("nopreempt"),
        "".join(block.first("advert_int")[:1]) or "1",
        frozenset(_addresses(block.inside("unicast_peer"))),
        " ".join(word for line in sorted(block.inside("authentication")) for word in line),
    )


def _weights(block: _Block, blocks: list[_Block]) -> Iterator[int]:
    """The weights of what is watched; what is named and never described watches nothing."""
    for tracker, kind in _TRACKERS.items():
        described = {one.words[1]: one for one in blocks if one.words[0] in (kind, kind[5:]) and len(one.words) > 1}
        for name, *options in filter(None, block.inside(tracker)):
            # A file that keepalived itself resets whenever it starts is a switch for operators: nobody reports there.
            if name in described and "overwrite" not in described[name].first("init_file"):
                own = options[options.index("weight") + 1 :] if "weight" in options else []
                yield _number(own or described[name].first("weight")) or 0


def _scripts(block: _Block, blocks: list[_Block]) -> Iterator[str]:
    """The programs that are watched, without their arguments."""
    watched = {line[0] for line in block.inside("track_script") if line}
    for one in blocks:
        if one.words[0] == "vrrp_script" and watched & set(one.words[1:2]):
            yield "".join(one.first("script")[:1]).partition(" ")[0]


def _addresses(lines: list[list[str]]) -> Iterator[str]:
    for words in filter(None, lines):
        try:
            yield str(ip_interface(words[0]).ip)
        except ValueError:
            continue


@lru_cache(maxsize=1024)
def _parsed(text: str) -> _Block:
    """Blocks and lines, which nobody may change: stacks share them; `!` and `#` begin a comment."""
    top = _Block([])
    open_blocks, words = [top], list[str]()
    plain = re.sub(r"(?m)(^|\s)[#!].*$", r"\1", text)
    # An opening brace may stand on the line after its keyword.
    for word in _TOKEN.findall(re.sub(r"\s*\n\s*\{", " {", plain) + "\n"):
        if word in ("\n", "}"):
            if words:
                open_blocks[-1].lines.append(_Block(words))
            words = []
            if word == "}" and len(open_blocks) > 1:
                open_blocks.pop()
        elif word == "{":
            block = _Block(words)
            open_blocks[-1].lines.append(block)
            open_blocks.append(block)
            words = []
        else:
            words.append(word.strip("\"'"))
    return top


def _number(words: list[str]) -> int | None:
    return int(words[0]) if words and re.fullmatch(r"-?\d+", words[0]) else None
