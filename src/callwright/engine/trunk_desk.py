"""What an operator does with trunks while the node runs: the database and the lines change together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Connection

from callwright.db.database import Database
from callwright.engine import trunk_store
from callwright.engine.interface import CallFailed, CallOrder, Engine
from callwright.engine.trunk_check import Finding, Verdict, examine
from callwright.engine.trunk_choice import carries
from callwright.engine.trunk_fields import TrunkChanges
from callwright.engine.trunk_identity import rewritten
from callwright.engine.trunk_loop import LEADS_BACK, own_place, warning_of
from callwright.engine.trunk_report import setup_report, state_report
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import Trunks, TrunksBusy
from callwright.media.sounds import Tone
from callwright.values.destination import DestinationKind, parse_destination
from callwright.values.errors import OutsideError, RequestError
from callwright.values.ids import CallId

TEST_RING_S = 30.0
TEST_TONE = Tone(frequencies=(440.0,), ms=2000)


class UnknownTrunk(RequestError):
    """There is no trunk of that name."""


class TrunkDesk:
    """Trunks as the command line sees them. ``domain`` is our own SIP domain, ``new_call_id`` makes fresh ids.

    ``declared`` are those of the configuration ``file``; they win over stored ones of the same name.
    """

    def __init__(
        self,
        *,
        database: Database,
        trunks: Trunks,
        engine: Engine,
        domain: str,
        clock: Callable[[], float],
        new_call_id: Callable[[], CallId],
        declared: Iterable[Trunk] = (),
        file: Path | None = None,
    ) -> None:
        self._database = database
        self._trunks = trunks
        self._engine = engine
        self._domain = domain
        self._clock = clock
        self._new_call_id = new_call_id
        self._declared = {trunk.name: trunk for trunk in declared}
        self._file = file
        self._loading = asyncio.Lock()  # of two changes at once the later one must be read last

    async def load(self) -> None:
        """Work with the trunks of the database; raise ``DatabaseUnavailable`` when a password cannot be unsealed."""
        async with self._loading:
            stored = {trunk.name: trunk for trunk in await self._database.read(trunk_store.list_trunks)}
            await self._trunks.set_up((stored | self._declared).values())

    async def add(self, trunk: Trunk) -> dict[str, object]:
        """Keep a trunk and begin to use it; raise ``RequestError`` when it makes no sense. ``warning`` in the answer
        says what is wrong with it all the same.
        """
        self._refuse_declared(trunk.name)
        now = self._clock()
        await self._database.write(lambda c: trunk_store.add_trunk(c, trunk, created_at=now))
        await self.load()
        return await self._changed(trunk.name)

    async def edit(self, changes: TrunkChanges) -> dict[str, object]:
        """Change a stored trunk; calls that are up go on as they began. Raise ``RequestError``; warn as ``add``."""
        name = changes.name
        self._refuse_declared(name)

        def change(c: Connection) -> bool:
            trunk = next((trunk for trunk in trunk_store.list_trunks(c) if trunk.name == name), None)
            return trunk is not None and trunk_store.update_trunk(c, changes.of(trunk))

        if not await self._database.write(change):
            raise self._unknown(name)
        await self.load()
        return await self._changed(name)

    async def remove(self, name: str) -> None:
        """Forget a trunk; calls that are up on it stay up. Raise ``RequestError``."""
        self._refuse_declared(name)
        if not await self._database.write(lambda c: trunk_store.remove_trunk(c, name)):
            raise self._unknown(name)
        await self.load()

    async def enable(self, name: str, *, enabled: bool) -> dict[str, object]:
        """Switch a trunk on or off; raise ``RequestError``."""
        self._refuse_declared(name)
        if not await self._database.write(lambda c: trunk_store.enable_trunk(c, name, enabled=enabled)):
            raise self._unknown(name)
        await self.load()
        return self.show(name)

    def reports(self) -> list[dict[str, object]]:
        """Return all trunks with their state, by name."""
        return [self.show(line.name) for line in self._trunks.lines]

    def show(self, name: str) -> dict[str, object]:
        """Return one trunk with its state; raise ``UnknownTrunk``."""
        line = self._trunks.line(name)
        if line is None:
            raise self._unknown(name)
        source = str(self._file) if name in self._declared else ""
        report = setup_report(line.trunk, source) | state_report(line, asyncio.get_running_loop().time())
        if line.trunk.enabled and own_place(self._trunks.link.known(line.trunk), self._trunks.link):
            report["state"] = LEADS_BACK  # its health checks are answered by ourselves
        return report

    def busy(self, digits: str) -> str:
        """Return why no trunk that carries a number can take one more call now, "" when one can or none carries it."""
        now = asyncio.get_running_loop().time()
        carrying = [line for line in self._trunks.lines if carries(line.trunk, digits)]
        why = [f"{line.name} is {line.blocked(now)}" for line in carrying if line.blocked(now)]
        return ", ".join(why) if len(why) == len(carrying) else ""

    async def test(self, name: str, *, call: str = "", caller_id: str = "") -> list[Finding]:
        """Look a trunk over; with ``call`` also call that number through it and play a tone. Raise ``RequestError``."""
        line = self._trunks.line(name)
        if line is None:
            raise self._unknown(name)
        destination = parse_destination(call) if call else None
        if destination is not None and destination.kind is not DestinationKind.TEL:
            raise RequestError(f"'{call[:40]}' is not a telephone number: trunks carry nothing else", field="call")
        findings = await examine(line, self._trunks.link, domain=self._domain, epoch=self._clock())
        if destination is not None:
            order = CallOrder(
                call_id=self._new_call_id(),
                destination=destination,
                caller_id=caller_id,
                service_name="callwright",
                ring_timeout_s=TEST_RING_S,
                trunk=name,
            )
            findings.append(await self._call(order, line.trunk))
        return findings

    async def _changed(self, name: str) -> dict[str, object]:
        report = self.show(name)
        line = self._trunks.line(name)
        return report | {"warning": "" if line is None else await warning_of(line.trunk, self._trunks.link)}

    async def _call(self, order: CallOrder, trunk: Trunk) -> Finding:
        asked = f"A call to {rewritten(trunk, order.destination.address)}"
        try:
            call = await self._engine.place(order, before_invite=_nothing, on_answered=_nothing)
        except CallFailed as failed:
            why = f" ({failed.outcome.detail})" if failed.outcome.detail else ""
            return Finding(verdict=Verdict.BAD, text=f"{asked} was not answered: {failed.outcome.hangup_cause}{why}.")
        except TrunksBusy as busy:
            return Finding(verdict=Verdict.BAD, text=f"{asked} was not placed: {busy}.")
        except OutsideError as problem:
            return Finding(verdict=Verdict.BAD, text=f"{asked} could not be prepared: {problem}.")
        try:
            await call.play([TEST_TONE])
        finally:
            await call.hang_up()
        return Finding(verdict=Verdict.GOOD, text=f"{asked} was answered with {call.facts.codec} and got a tone.")

    def _refuse_declared(self, name: str) -> None:
        if name in self._declared:
            raise RequestError(f"trunk '{name}' is declared in {self._file}: change it there and restart the node")

    def _unknown(self, name: str) -> UnknownTrunk:
        names = ", ".join(line.name for line in self._trunks.lines)
        return UnknownTrunk(f"there is no trunk '{name[:60]}'; there {f'are: {names}' if names else 'is none yet'}")


async def _nothing(*_: object) -> None:
    """Stand in for the ledger: a test call of the operator is nobody's start."""
