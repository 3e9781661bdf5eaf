"""Runs the simulated phone network as a process of its own, alone or beside a node.

Apart from ``sandbox`` because of what it imports: other commands need not wait for that.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import typer

from callwright.engine import routes
from callwright.sandbox import phrases
from callwright.sandbox.persona_file import read_persona_file
from callwright.sandbox.personas import BUILT_IN
from callwright.sandbox.process import LOG_FILE, SandboxProcess, start_sandbox
from callwright.sip.auth import Credentials
from callwright.speech import BUILT_IN_SELECTOR, Speech

log = structlog.get_logger()

_DIGEST = next(persona.digest for persona in BUILT_IN if persona.digest is not None)
_CREDENTIALS = Credentials(user=_DIGEST.user, password=_DIGEST.password)


@asynccontextmanager
async def beside_node(speech: Speech, folder: Path, *, personas: Path | None = None) -> AsyncIterator[routes.Sandbox]:
    """Run the simulated phone network as a process of its own while the block runs."""
    await _render_phrases(speech, folder / "phrases", personas)
    process = await start_sandbox(data=folder, personas=personas, phrases=folder / "phrases")
    watching = asyncio.create_task(_tell_of_its_end(process), name="watch the sandbox")
    try:
        yield routes.Sandbox(
            address=(process.host, process.port),
            credentials=_CREDENTIALS,
        )
    finally:
        watching.cancel()
        await process.close()


async def _tell_of_its_end(process: SandboxProcess) -> None:
    code = await process.wait()
    log.error(
        f"The simulated phone network ended by itself (exit code {code}): no test number answers any more. "
        f"Its last words are in {process.data / LOG_FILE}; restart the node.",
        action="sandbox_lost",
    )


@asynccontextmanager
async def running_elsewhere(
    _speech: Speech, _folder: Path, *, address: tuple[str, int]
) -> AsyncIterator[routes.Sandbox]:
    """Use a simulated phone network that somebody else runs: it outlives this node."""
    yield routes.Sandbox(address=address, credentials=_CREDENTIALS)


async def alone(data: Path, sip: str, personas: Path | None) -> None:
    """Run it with a log of its own until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    folder = data / "sandbox"
    async with Speech(data / "speech") as speech:
        await _render_phrases(speech, folder / "phrases", personas)
    process = await start_sandbox(data=folder, sip=sip, personas=personas, phrases=folder / "phrases")
    typer.echo(f"simulated phone network: SIP {process.host}:{process.port} (UDP), numbers 999005550001 to …0016")
    typer.echo(f"what it hears and sees is kept in {folder}")
    try:
        await stop.wait()
    finally:
        await process.close()


async def _render_phrases(speech: Speech, folder: Path, personas: Path | None) -> None:
    """Give the telephones their voices: render what they may say and is not there yet."""
    missing = await asyncio.to_thread(_missing, folder, personas)
    for phrase in missing:
        rendered = await speech.render(phrase.text, selector=None, default_selector=BUILT_IN_SELECTOR)
        await asyncio.to_thread(_keep, rendered.path, folder / phrase.file_name)
    if missing:
        log.info(
            "What the simulated telephones say was rendered.", action="sandbox_phrases_rendered", phrases=len(missing)
        )


def _missing(folder: Path, personas: Path | None) -> list[phrases.Phrase]:
    """Return the phrases that have no sound yet; raise ``RequestError`` for a bad personas file."""
    folder.mkdir(parents=True, exist_ok=True)
    extra = read_persona_file(personas) if personas is not None else ()
    return phrases.missing(folder, (*BUILT_IN, *extra))


def _keep(rendered: Path, wanted: Path) -> None:
    """Copy a rendered prompt whole: a sandbox that reads it meanwhile sees the old file or the new one."""
    half = wanted.with_suffix(".part")
    shutil.copyfile(rendered, half)
    half.replace(wanted)
