"""What of a page's request or answer may be shown in a log: tokens, private text, keys and passwords may not."""

from __future__ import annotations

import re

import msgspec

from callwright.apps.rest.document import has_too_many_parts
from callwright.apps.rest.pages import shown_url
from callwright.apps.rest.play_list import PRIVATE

MAX_SHOWN_CHARS = 500

_SECRETS = frozenset({"token", "key", "initialisation_vector", "password"})
_HINTS_OF_SECRETS = re.compile(r"text_is_private|cipher|password|token", re.IGNORECASE)


def masked_body(body: bytes) -> str:
    """Return the JSON text of a body with its secrets masked; of anything else, the beginning."""
    if not body.strip():
        return "(empty)"
    if has_too_many_parts(body):
        return f"({len(body)} bytes of too many objects, not shown)"
    try:
        document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
        return msgspec.json.encode(_masked(document)).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace")
    if _HINTS_OF_SECRETS.search(text):
        return f"(not JSON, {len(body)} bytes, not shown because it may hold secrets)"
    more = "…" if len(text) > MAX_SHOWN_CHARS else ""
    return f"(not JSON, {len(body)} bytes) {text[:MAX_SHOWN_CHARS]}{more}"


def _masked(value: object) -> object:
    match value:
        case dict():
            # Whatever else it may be, it was meant to be private: an answer that is refused is in the log all the same.
            private = value.get("text_is_private") not in (None, False)
            return {name: _masked_property(name, one, private) for name, one in value.items()}
        case list():
            return [_masked(one) for one in value]
        case _:
            return value


def _masked_property(name: str, value: object, private: bool) -> object:
    if (name in _SECRETS and value is not None) or (private and name == "text_to_say"):
        return PRIVATE
    if isinstance(value, str) and "@" in value and "//" in value:
        return shown_url(value)
    return _masked(value)
