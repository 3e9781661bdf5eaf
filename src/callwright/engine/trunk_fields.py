"""Trunks as people write them, in the configuration file and on the command line: plain fields, read with care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from callwright.engine.trunk_setup import (
    DEFAULT_CHECK_EVERY_S,
    DEFAULT_CODECS,
    DEFAULT_EXPIRES_S,
    Trunk,
    TrunkPrefix,
    check_trunk,
    parse_prefix,
)
from callwright.sip.way import Transport
from callwright.values.errors import RequestError
from callwright.values.misfits import misfit

_MOST_SECRET = 1000


class TrunkFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new trunk; ``prefixes`` are texts ``DIGITS[:PRIORITY[:WEIGHT]]``, "*" is every number."""

    name: str
    host: str
    port: int = 0
    transport: Transport = Transport.UDP
    enabled: bool = True
    prefixes: list[str] = msgspec.field(default_factory=lambda: ["*"])
    user: str = ""
    password: str = ""
    register: bool = False
    expires_s: int = DEFAULT_EXPIRES_S
    from_user: str = ""
    from_domain: str = ""
    assert_identity: bool = False
    withhold: bool = False
    strip: str = ""
    add: str = ""
    plus: bool = False
    codecs: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_CODECS))
    max_calls: int | None = None
    max_cps: float | None = None
    check_every_s: float = DEFAULT_CHECK_EVERY_S

    def trunk(self) -> Trunk:
        """Return the trunk; raise ``RequestError`` when a prefix cannot be read. The rest is not checked yet."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return Trunk(**plain, prefixes=_prefixes(self.prefixes), codecs=_codecs(self.codecs))


class TrunkChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different about the trunk ``name``; 0 for ``max_calls`` and ``max_cps`` is no limit."""

    name: str
    host: str | UnsetType = UNSET
    port: int | UnsetType = UNSET
    transport: Transport | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    prefixes: list[str] | UnsetType = UNSET
    user: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    register: bool | UnsetType = UNSET
    expires_s: int | UnsetType = UNSET
    from_user: str | UnsetType = UNSET
    from_domain: str | UnsetType = UNSET
    assert_identity: bool | UnsetType = UNSET
    withhold: bool | UnsetType = UNSET
    strip: str | UnsetType = UNSET
    add: str | UnsetType = UNSET
    plus: bool | UnsetType = UNSET
    codecs: list[str] | UnsetType = UNSET
    max_calls: int | UnsetType = UNSET
    max_cps: float | UnsetType = UNSET
    check_every_s: float | UnsetType = UNSET

    def of(self, trunk: Trunk) -> Trunk:
        """Return the trunk with the changes; raise ``RequestError`` when it makes no sense any more."""
        given = msgspec.structs.asdict(self)
        changes = {name: value for name, value in given.items() if value is not UNSET}
        for name in ("max_calls", "max_cps"):
            if changes.get(name) == 0:
                changes[name] = None
        if not isinstance(self.prefixes, UnsetType):
            changes["prefixes"] = _prefixes(self.prefixes)
        if not isinstance(self.codecs, UnsetType):
            changes["codecs"] = _codecs(self.codecs)
        changed = replace(trunk, **changes)
        check_trunk(changed)
        return changed


class _Declared(TrunkFields, forbid_unknown_fields=True, kw_only=True):
    password_env: str = ""
    password_file: str = ""


_PLAIN = tuple(
    name for name in TrunkFields.__struct_fields__ if name not in ("prefixes", "codecs")
)  # of which a trunk takes the values as they are


def declared_trunks(tables: Sequence[Mapping[str, object]], *, file: Path, environ: Mapping[str, str]) -> list[Trunk]:
    """Return the trunks that a configuration file declares with ``[[trunks]]``.

    Raise ``RequestError`` naming the file, the trunk and the field at fault. Passwords come from where
    ``password_env`` or ``password_file`` (below the folder of the configuration file) point to.
    """
    found: dict[str, Trunk] = {}
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        where = f"{file}, trunk {number}" + (f" ('{name[:60]}')" if isinstance(name, str) else "")
        trunk = _declared(table, where, environ, file.parent)
        if trunk.name in found:
            raise RequestError(f"{where}: name is taken by another trunk of this file", field="trunks.name")
        found[trunk.name] = trunk
    return list(found.values())


def _declared(table: Mapping[str, object], where: str, environ: Mapping[str, str], folder: Path) -> Trunk:
    if "password" in table:
        raise RequestError(
            f"{where}: password does not belong into this file: name a file that holds it (password_file), or a "
            "variable of the environment (password_env)",
            field="trunks.password",
        )
    try:
        written = msgspec.convert(table, type=_Declared)
    except msgspec.ValidationError as problem:
        field, reason = misfit(problem, _Declared)
        raise RequestError(
            f"{where}: {field}: {reason}" if field else f"{where}: {reason}",
            field=f"trunks.{field}" if field else "trunks",
        ) from problem
    written.password = _secret(written, where, environ, folder)
    try:
        trunk = written.trunk()
        check_trunk(trunk)
    except RequestError as problem:
        raise RequestError(f"{where}: {problem}", field=f"trunks.{problem.field}") from problem
    return trunk


def _secret(written: _Declared, where: str, environ: Mapping[str, str], folder: Path) -> str:
    if written.password_env and written.password_file:
        raise RequestError(f"{where}: give password_env or password_file, not both", field="trunks.password_env")
    if written.password_env:
        if not (secret := environ.get(written.password_env, "")):
            raise RequestError(
                f"{where}: password_env names the variable {written.password_env}, which is not set or empty",
                field="trunks.password_env",
            )
        return secret
    if not written.password_file:
        return ""
    try:
        with (folder / Path(written.password_file).expanduser()).open(encoding="utf-8") as file:
            secret = file.read(_MOST_SECRET).strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise RequestError(
            f"{where}: password_file {written.password_file} cannot be read: {problem}", field="trunks.password_file"
        ) from problem
    if not secret:
        raise RequestError(f"{where}: password_file {written.password_file} is empty", field="trunks.password_file")
    return secret


def _prefixes(texts: list[str]) -> tuple[TrunkPrefix, ...]:
    return tuple(map(parse_prefix, texts))


def _codecs(names: list[str]) -> tuple[str, ...]:
    return tuple(name.strip().upper() for name in names)
