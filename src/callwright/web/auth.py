"""Who is asking: HTTP Basic credentials in their two forms (RFC 7617; docs/reference/web-services.md, authorisation).

``cloudID/username/service_name`` goes with the password of that outbound service, ``cloudID/username`` with the API
Access Key of the account. A refusal never tells which part was wrong.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from callwright.accounts.credentials import UserName, split_user_name
from callwright.web.errors import unauthorized

MAX_HEADER_CHARS = 4096
SERVICE_FORM = "user name cloudID/username/service_name with the password of that outbound service"
ACCOUNT_FORM = "user name cloudID/username with the API Access Key of the account"
WRONG = "unknown user name, or wrong password or key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Parsed credentials; the password is kept out of ``repr``."""

    user: UserName
    password: str = field(repr=False)


def read_login(header: str | None, *, forms: tuple[str, ...]) -> Login:
    """Read an ``Authorization`` header; raise the 401 problem that fits.

    ``forms`` are the forms the operation takes (``SERVICE_FORM``, ``ACCOUNT_FORM``); the other one is refused.
    """
    wanted = " or ".join(forms)
    if header is None:
        raise unauthorized(f"no credentials; send {wanted} (HTTP Basic)")
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise unauthorized(f"only HTTP Basic is understood; send {wanted}")
    text = _decode(encoded.strip())
    if text is None or ":" not in text or "\0" in text:
        raise unauthorized(f"the Authorization header is not well-formed HTTP Basic; send {wanted}")
    name, _, password = text.partition(":")
    user = split_user_name(name)
    if user is None:
        raise unauthorized(f"the user name does not have the right form; send {wanted}")
    if (ACCOUNT_FORM if user.service_name is None else SERVICE_FORM) not in forms:
        raise unauthorized(f"this operation takes {wanted}")
    return Login(user=user, password=password)


def _decode(encoded: str) -> str | None:
    """Decode base64 to UTF-8, or to Latin-1 as older clients write it; None when it is not base64."""
    if not encoded or len(encoded) > MAX_HEADER_CHARS:
        return None
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
