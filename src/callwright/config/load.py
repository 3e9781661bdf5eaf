"""Reading the settings: defaults, file, environment, command line; later sources win.

An unknown name or a bad value is one ``SettingsError`` that names the setting, where it was found and what is expected.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from callwright.config.errors import SettingsError
from callwright.config.kinds import Kind
from callwright.config.settings import DEFAULT_DATA_FOLDER, Settings

FILE_NAME = "callwright.toml"
ENVIRONMENT_PREFIX = "CALLWRIGHT_"
CONFIG_VARIABLE = "CALLWRIGHT_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFacts:
    """One setting as documentation shows it: its dotted ``name``, its ``default``, what it is and takes."""

    name: str
    default: object
    about: str
    expects: str
    variable: str


def all_settings() -> list[SettingFacts]:
    """Return the facts of every setting, in the order of declaration."""
    return [
        SettingFacts(
            name=name,
            default=item.default,
            about=item.metadata["about"],
            expects=item.metadata["kind"].expects,
            variable=_variable(name),
        )
        for name, item in _declared().items()
    ]


def load_settings(
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    config_file: Path | None = None,
) -> Settings:
    """Read the settings from defaults, file, environment and command line; raise ``SettingsError``.

    ``overrides`` are keyed by dotted names, e.g. ``{"http.port": 0, "pages.allow_private": True}``; None values count
    as not given. ``config_file`` (or ``$CALLWRIGHT_CONFIG``) must exist, ``callwright.toml`` of the data folder need
    not.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    values: dict[str, object] = {}
    environment = _from_environment(environ)
    _merge(values, given, "the command line")
    for name, text in environment.items():
        if name not in values:
            _merge(values, {name: text}, f"the environment variable {_variable(name)}")
    named = config_file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    path = named or Path(str(values.get("data", DEFAULT_DATA_FOLDER.expanduser()))) / FILE_NAME
    tree = _read_file(path, must_exist=named is not None)
    trunks = _trunk_tables(tree, path)
    for name, value in _flat(tree, path).items():
        if name not in values:
            _merge(values, {name: value}, str(path))
    values |= {"file": path, "trunks": trunks} if tree or trunks else {}
    values.setdefault("data", DEFAULT_DATA_FOLDER.expanduser())
    settings = _build(values)
    _check_together(settings)
    return settings


def _declared() -> dict[str, Field[object]]:
    return dict(_walk(Settings, ""))


def _walk(tree: type, prefix: str) -> Iterator[tuple[str, Field[object]]]:
    for item in fields(tree):
        if item.default_factory is not MISSING and is_dataclass(item.default_factory):
            yield from _walk(cast(type, item.default_factory), f"{item.name}.")
        elif "kind" in item.metadata:
            yield f"{prefix}{item.name}", item


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.replace(".", "_").upper()


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    known = {_variable(name): name for name in _declared()}
    found: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in known:
            raise SettingsError(f"{variable} is not a setting{_closest(variable, known)}", field=variable)
        found[known[variable]] = value
    return found


def _read_file(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if must_exist:
            raise SettingsError(f"the settings file {path} does not exist") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not valid TOML: {error}") from error


def _trunk_tables(tree: dict[str, object], path: Path) -> tuple[dict[str, object], ...]:
    """Take the trunks out of a settings file; what is in them is looked at where trunks are known."""
    tables = tree.pop("trunks", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"trunks in {path} are tables: write [[trunks]] and the fields below", field="trunks")
    return tuple(tables)


def _flat(tree: dict[str, object], path: Path) -> dict[str, object]:
    sections = {name.partition(".")[0] for name in _declared() if "." in name}
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if key in sections and isinstance(value, dict):
            flat.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        elif key in sections:
            raise SettingsError(f"{key} in {path} is a section: write [{key}] and its settings below", field=key)
        else:
            flat[key] = value
    return flat


def _merge(values: dict[str, object], given: Mapping[str, object], where: str) -> None:
    declared = _declared()
    for name, value in given.items():
        if name not in declared:
            raise SettingsError(f"{name} in {where} is not a setting{_closest(name, declared)}", field=name)
        kind = cast(Kind, declared[name].metadata["kind"])
        try:
            values[name] = kind.read(value)
        except ValueError as error:
            raise SettingsError(
                f"{name} in {where} is {str(value)[:80]!r}; expected is {kind.expects}", field=name
            ) from error


def _closest(name: str, known: Mapping[str, object]) -> str:
    last = re.split(r"[._]", name.lower())[-1]
    alike = [candidate for candidate in known if re.split(r"[._]", candidate.lower())[-1] == last]
    alike = alike or difflib.get_close_matches(name, known, n=3, cutoff=0.8)
    return f"; did you mean {' or '.join(alike[:3])}?" if alike else "; docs/reference/settings.md lists them all"


def _build(values: Mapping[str, object]) -> Settings:
    top: dict[str, Any] = {}
    for item in fields(Settings):
        if item.default_factory is not MISSING:
            start = f"{item.name}."
            section = {name[len(start) :]: value for name, value in values.items() if name.startswith(start)}
            top[item.name] = cast(Any, item.default_factory)(**section)
        elif item.name in values:
            top[item.name] = values[item.name]
    return Settings(**top)


def _check_together(settings: Settings) -> None:
    rtp = settings.rtp
    if rtp.last_port - rtp.first_port < 1:
        raise SettingsError(
            f"rtp.first_port {rtp.first_port} and rtp.last_port {rtp.last_port} leave no pair of ports: the last one "
            "must be greater than the first",
            field="rtp.last_port",
        )
    for group, files in (("http", settings.http), ("sip", settings.sip)):
        if (files.certificate is None) is not (files.key is None):
            given, lacking = ("certificate", "key") if files.key is None else ("key", "certificate")
            raise SettingsError(
                f"{group}.{given} is set and {group}.{lacking} is not: TLS needs both files", field=f"{group}.{lacking}"
            )
