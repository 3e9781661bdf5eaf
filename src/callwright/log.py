"""The log: one stream of events, for people on a terminal and as JSON lines elsewhere.

An event is a sentence with a stable ``action`` and the ids it is about. What the standard library's loggers say
(uvicorn, aiohttp, alembic) takes the same way. Secrets are masked whoever logs them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

MASK = "***"

_SECRET_WORDS = frozenset(
    ("authorization", "password", "passwd", "secret", "token", "key", "cookie", "credential", "credentials", "cnonce")
)
_NOT_SECRET = frozenset(("key_count",))
_CREDENTIAL = re.compile(r"\b(basic|bearer|digest)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE)


def setup_log(*, level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Send all logging to ``stream`` (standard error by default) as ``console``, ``json`` or ``auto`` lines.

    ``level`` is debug, info, warning or error. Calling it again replaces the former set-up.
    """
    out = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    for_people = format == "console" or (format == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=out.isatty())]
        if for_people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_logger],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # These report every step of their normal work at info level, one line each request or migration.
    for name in ("uvicorn.access", "aiohttp.access", "alembic", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values of secret fields by ``***`` and credentials inside texts; a structlog processor."""
    for name, value in event.items():
        event[name] = MASK if _is_secret(name) else _masked(value)
    return event


def _is_secret(name: str) -> bool:
    return name not in _NOT_SECRET and any(word in _SECRET_WORDS for word in re.split(r"[^a-z]+", name.lower()))


def _masked(value: object) -> object:
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\1:{MASK}@", _CREDENTIAL.sub(rf"\1 {MASK}", value))
    if isinstance(value, Mapping):
        return {name: MASK if _is_secret(str(name)) else _masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def _name_logger(
    logger: logging.Logger | None, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    record = event.get("_record")
    event["logger"] = record.name if isinstance(record, logging.LogRecord) else getattr(logger, "name", "")
    return event
