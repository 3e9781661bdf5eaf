"""``callwright doctor``: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from callwright.cli.node_link import NodeLink, NodeRefused, NoNode
from callwright.cli.options import Config, Data
from callwright.config.binding import check_binding
from callwright.config.errors import SettingsError
from callwright.config.load import load_settings
from callwright.config.settings import Settings
from callwright.values.errors import RequestError

FREE_BYTES_WANTED = 500_000_000
FREE_BYTES_NEEDED = 10_000_000
DESCRIPTORS_WANTED = 4096
_GRADES = {"good": "ok", "note": "note", "bad": "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. ``grade`` is ``ok``, ``note`` (works, could be better) or ``bad`` (will not work)."""

    grade: str
    what: str
    detail: str


def doctor(data: Data = None, config: Config = None) -> None:
    """Look at ports, folder, database, trunks, voices and limits; exit code 1 when something will not work."""
    settings = load_settings(environ=os.environ, config_file=config, overrides={"data": data})
    findings = list(_look(settings))
    for finding in findings:
        typer.echo(f"{finding.grade:<5} {finding.what:<16} {finding.detail}")
    if any(finding.grade == "bad" for finding in findings):
        raise typer.Exit(1)


def _look(settings: Settings) -> Iterator[Finding]:
    yield Finding(grade="ok", what="python", detail=f"{sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
    yield _folder(settings.data)
    running = _running_node(settings)
    yield running
    if running.grade == "note":  # with a node running, its ports are taken by itself
        yield _port("http port", settings.http.host, settings.http.port, ("TCP",))
        yield _port("sip port", settings.sip.host, settings.sip.port, ("UDP", "TCP"))
    yield _binding(settings)
    yield from _trunks(settings, running)
    yield _rtp(settings)
    yield _descriptors()
    yield from _voices()
    yield _program("sipp", "only tests against an independent SIP peer need it: apt-get install sip-tester")


def _folder(folder: Path) -> Finding:
    # A folder that is not there yet is made by the node; looking must not leave one behind.
    existing = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as problem:
        return Finding(
            grade="bad", what="data folder", detail=f"{folder} cannot be written ({problem}): choose one with --data"
        )
    if free < FREE_BYTES_NEEDED:
        said = f"{folder} has {free / 1e6:.0f} MB free: a full disk refuses starts (507). Free space there."
        return Finding(grade="bad", what="data folder", detail=said)
    if free < FREE_BYTES_WANTED:
        return Finding(grade="note", what="data folder", detail=f"{folder} has only {free / 1e6:.0f} MB free")
    return Finding(grade="ok", what="data folder", detail=f"{folder}, {free / 1e9:.0f} GB free")


def _running_node(settings: Settings) -> Finding:
    try:
        node = NodeLink(settings.admin_socket).get("/status")
    except NoNode:
        return Finding(grade="note", what="node", detail="none runs on this data folder: callwright serve")
    detail = f"{node['status']}, web {node['http']}, SIP {node['sip']}, {node['running']} running, "
    return Finding(grade="ok", what="node", detail=detail + f"{node['queue_length']} queued")


def _port(what: str, host: str, port: int, ways: tuple[str, ...]) -> Finding:
    for way in ways:
        if why_not := _why_not_free(host, port, way):
            option = what.split(" ")[0]
            return Finding(
                grade="bad",
                what=what,
                detail=f"{host}:{port} cannot be used by {way} ({why_not}): choose another with --{option} HOST:PORT",
            )
    return Finding(grade="ok", what=what, detail=f"{host}:{port} is free" if port else f"a free one of {host}")


def _why_not_free(host: str, port: int, way: str) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if way == "UDP" else socket.SOCK_STREAM) as probe:
        if way == "TCP":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as problem:
            return problem.strerror or str(problem)
    return ""


def _binding(settings: Settings) -> Finding:
    try:
        check_binding(settings)
    except SettingsError as problem:
        return Finding(grade="bad", what="exposure", detail=str(problem))
    return Finding(grade="ok", what="exposure", detail=f"web services on {settings.http.host}")


def _trunks(settings: Settings, running: Finding) -> Iterator[Finding]:
    """Look the trunks over through the running node; without one only what the configuration file declares."""
    if running.grade != "ok":
        yield _declared(settings)
        return
    link = NodeLink(settings.admin_socket)
    trunks = link.get("/trunks")["trunks"]
    if not trunks:
        detail = "none: real telephone numbers need one, callwright trunk add NAME --host HOST"
        yield Finding(grade="note", what="trunks", detail=detail)
    for trunk in trunks:
        what = f"trunk {trunk['name']}"
        if not trunk["enabled"]:
            yield Finding(grade="note", what=what, detail="disabled: callwright trunk enable")
            continue
        try:
            found = link.post("/trunks/test", {"name": trunk["name"]})["findings"]
        except NodeRefused as problem:  # removed a moment ago
            yield Finding(grade="note", what=what, detail=str(problem))
            continue
        for each in found:
            yield Finding(grade=_GRADES[each["verdict"]], what=what, detail=each["text"])


def _declared(settings: Settings) -> Finding:
    from callwright.engine.trunk_fields import declared_trunks  # as with the voices: only this command waits for it

    try:
        declared = declared_trunks(settings.trunks, file=settings.file or settings.data, environ=os.environ)
    except RequestError as problem:
        return Finding(grade="bad", what="trunks", detail=str(problem))
    names = ", ".join(trunk.name for trunk in declared)
    detail = f"{names} declared in {settings.file}; " if names else ""
    return Finding(grade="note", what="trunks", detail=f"{detail}a running node looks them over: callwright serve")


def _rtp(settings: Settings) -> Finding:
    legs = (settings.rtp.last_port - settings.rtp.first_port + 1) // 2
    detail = f"ports {settings.rtp.first_port} to {settings.rtp.last_port}: at most {legs} calls at the same time"
    return Finding(grade="ok", what="rtp", detail=detail)


def _descriptors() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < DESCRIPTORS_WANTED:
        detail = f"only {hard} open files allowed, about {hard // 3} calls: raise the hard limit (ulimit -Hn)"
        return Finding(grade="note", what="descriptors", detail=detail)
    return Finding(grade="ok", what="descriptors", detail=f"up to {hard} open files")


def _voices() -> Iterator[Finding]:
    from callwright.speech import available_engines

    for engine in asyncio.run(available_engines()):
        if engine.installed:
            yield Finding(grade="ok", what=f"voice {engine.engine}", detail=f"{engine.version}: {engine.speaks}")
        else:
            detail = f"not installed ({engine.speaks}): {engine.how_to_install}"
            yield Finding(grade="note", what=f"voice {engine.engine}", detail=detail)


def _program(name: str, why: str) -> Finding:
    found = shutil.which(name)
    return Finding(grade="ok" if found else "note", what=name, detail=found or f"not installed; {why}")
