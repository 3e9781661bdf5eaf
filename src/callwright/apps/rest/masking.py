"""What of a page's request or answer may be shown in a log: tokens, private text, keys and passwords may not."""

from __future__ import annotations

import re

import msgspec

from callwright.apps.rest.document import has_too_many_parts
from callwright.apps.rest.pages import shown_url
from callwright.apps.rest.play_list import PRIVATE

MAX_SHOWN_CHARS = 500

_SECRETS = frozenset({"token", "key", "initialisation_vector", "password"})
_MAYBE_SECRETS = tuple(f'"{name}":' for name in ("text_is_private", *sorted(_SECRETS - {"token"})))
_MASKED_TOKEN = f'"token":"{PRIVATE}"'
_HINTS_OF_SECRETS = re.compile(r"text_is_private|cipher|password|token", re.IGNORECASE)


def masked_body(body: bytes) -> str:
    """Return the JSON text of a body with its secrets masked; of anything else, the beginning."""
    if not body.strip():
        return "(empty)"
    if has_too_many_parts(body):
        return f"({len(body)} bytes of too many objects, not shown)"
    try:
        document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
        text = msgspec.json.encode(document).decode()
        return msgspec.json.encode(_masked(document)).decode() if _may_need_masks(text) else text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode(errors="replace")
    if _HINTS_OF_SECRETS.search(text):
        return f"(not JSON, {len(body)} bytes, not shown because it may hold secrets)"
    more = "…" if len(text) > MAX_SHOWN_CHARS else ""
    return f"(not JSON, {len(body)} bytes) {text[:MAX_SHOWN_CHARS]}{more}"


def masked_info(info: bytes, token: str | None) -> str:
    """Return the JSON text of a request, as ``instance_info`` made it with this token, with its secrets masked."""
    text = info.decode()
    if token is not None:
        text = text.replace(f'"token":{msgspec.json.encode(token).decode()}', _MASKED_TOKEN, 1)
    return masked_body(info) if _may_need_masks(text) else text


def _may_need_masks(text: str) -> bool:
    """Whether there may be something to mask in a JSON text that our encoder wrote: no spaces, nothing escaped."""
    if text.count('"token":') != text.count('"token":null') + text.count(_MASKED_TOKEN):
        return True
    if "@" in text and "//" in text:  # perhaps a URL with a password
        return True
    return any(hint in text for hint in _MAYBE_SECRETS)


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
