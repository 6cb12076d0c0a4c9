"""Live sessions: each writes and reads its own, thinking in between, and knows which write it must find again."""

import asyncio
from dataclasses import dataclass, field

from drills.model import Kind, LostSession, SessionsCheck
from drills.workload.client import Answer, Client
from drills.workload.clock import Clock, Stop, pace
from drills.workload.plan import Load, Site

COOKIE = "JSESSIONID"
TRIES = 5
"""How often a session is asked at the end before it counts as unreadable."""


@dataclass(slots=True)
class Session:
    """One user's session.

    The application counts the writes of a session; `certain` is the count that no single fault may take away: the same
    node has answered a later request of the session, which it takes only once the write is on every node.
    """

    number: int
    cookie: str = ""
    turns: int = 0
    certain: int = 0
    pending: int = 0
    """Count of the last write that was answered and is not certain yet; 0 if there is none."""
    pending_node: str = ""
    lost: list[LostSession] = field(default_factory=list)

    def heard(self, time: float, *, writes: int | None, node: str, wrote: bool) -> None:
        """Draw the conclusions from an answer.

        Args:
            time: When it came.
            writes: How many writes the session has now; None where there is no session.
            node: Who answered.
            wrote: Whether the request was itself a write, which is counted in `writes`.
        """
        before = None if writes is None or (wrote and writes == 1) else writes - wrote
        if (before or 0) < self.certain:
            self.lost.append(LostSession(self.number, time, self.certain, before, node))
            self.certain = self.pending = 0
        elif self.pending and node == self.pending_node and before is not None and before >= self.pending:
            self.certain = self.pending
        if wrote and writes is not None:
            self.pending, self.pending_node = writes, node
        elif node != self.pending_node or writes is None or writes < self.pending:
            self.pending = 0

    def doubt(self) -> None:
        """Take nothing for certain any more: nobody could say what it holds."""
        self.certain = self.pending = 0

    def report(self) -> tuple[LostSession, ...]:
        """What was lost; it is reported once."""
        lost, self.lost = tuple(self.lost), []
        return lost


class Sessions:
    """All of them, spread evenly over the time that a user thinks."""

    def __init__(self, client: Client, site: Site, load: Load, clock: Clock) -> None:
        self._client = client
        self._path = site.session
        self._load = load
        self._clock = clock
        self._all = [Session(number) for number in range(load.sessions)]
        self._turns = 0
        """Of all sessions, so that the next recording goes on with the session whose turn it is."""

    async def begin(self) -> None:
        """Begin every session that has none with a write that is certain: at first all, later those that were lost.

        Raises:
            RuntimeError: Some could not be begun: the service is not steady.
        """
        for _ in range(TRIES):
            missing = [session for session in self._all if not session.certain]
            if not missing:
                return
            for _ in range(2):
                await self._each(missing, self._load.arrivals_per_second)
        if missing := [session for session in self._all if not session.certain]:
            raise RuntimeError(f"{len(missing)} of {len(self._all)} sessions could not be begun")

    async def live(self, stop: Stop) -> None:
        """Let every session write and read by turns until the load is over."""
        async with asyncio.TaskGroup() as under_way:
            async for due in pace(self._clock, stop, len(self._all) / self._load.think_seconds):
                under_way.create_task(self._turn(self._all[self._turns % len(self._all)], due))
                self._turns += 1

    async def check(self, seconds: float) -> SessionsCheck:
        """Ask every session for its last write, for at most so many seconds.

        What is found counts here: sessions that are lost, or don't answer, are begun anew by the next `begin`.
        """
        unread = list(self._all)
        try:
            async with asyncio.timeout(seconds):
                for _ in range(TRIES):
                    if not (unread := await self._each(unread, self._load.checks_per_second, read=True)):
                        break
        except TimeoutError:
            pass  # said below
        found = SessionsCheck(
            sessions=len(self._all),
            certain=sum(bool(session.certain or session.lost) for session in self._all),
            lost=tuple(lost for session in self._all for lost in session.report()),
            unchecked=f"{len(unread)} of {len(self._all)} sessions did not answer" if unread else "",
        )
        for session in unread:
            session.doubt()
        return found

    async def _each(self, sessions: list[Session], per_second: float, *, read: bool = False) -> list[Session]:
        """Give every session a turn, not all at once; returns those that got no answer."""
        stop = Stop()
        tasks: dict[asyncio.Task[bool], Session] = {}
        async with asyncio.TaskGroup() as under_way:
            waiting = iter(sessions)
            async for _ in pace(self._clock, stop, per_second):
                if (session := next(waiting, None)) is None:
                    stop.set()
                    continue
                tasks[under_way.create_task(self._turn(session, None, read=read))] = session
        return [session for task, session in tasks.items() if not task.result()]

    async def _turn(self, session: Session, due: float | None, *, read: bool = False) -> bool:
        wrote = not read and session.turns % 2 == 0
        session.turns += not read
        headers = {"Cookie": session.cookie} if session.cookie else {}
        body = {"value": str(session.turns)} if wrote else None
        method = "POST" if wrote else "GET"
        answer = await self._client.exchange(Kind.SESSION, method, self._path, due=due, body=body, headers=headers)
        return self._hear(session, answer, wrote=wrote)

    def _hear(self, session: Session, answer: Answer, *, wrote: bool) -> bool:
        state = answer.json()
        if not answer.request.good or not isinstance(state, dict):
            return False
        for name, value in answer.cookies:
            if name == COOKIE:
                session.cookie = f"{COOKIE}={value}"
        writes = None if state["session"] is None else int(state["writes"])
        session.heard(answer.request.done, writes=writes, node=str(state["node"]), wrote=wrote)
        return True
