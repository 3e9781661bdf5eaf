"""Secrets that must be given back as they are, such as the password in a page's URL: encrypted at rest.

The key lies in a file beside the database, readable by its owner only: a copy of the database alone gives nothing away.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection

from callwright.db.errors import DatabaseUnavailable

KEY_FILE = "secrets.key"

_OPTION = "callwright_secret_box"


class SecretBox:
    """Seals texts with the key of a data folder, and opens what was sealed with it."""

    def __init__(self, key_file: Path) -> None:
        """Read the key, or make one when there is none; raise ``DatabaseUnavailable`` if that cannot be done."""
        self._key_file = key_file
        try:
            self._fernet = Fernet(key_file.read_bytes() if key_file.exists() else _make_key(key_file))
        except (OSError, ValueError) as error:
            raise DatabaseUnavailable(f"the key file {key_file} cannot be used: {error}") from error

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Return the sealed text; raise ``DatabaseUnavailable`` when another key sealed it."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise DatabaseUnavailable(
                f"a secret in the database was sealed with another key than {self._key_file} holds: put back the key "
                "file that belongs to this database, or enter the secret again"
            ) from error

    @property
    def execution_options(self) -> dict[str, object]:
        """Options of an engine whose connections carry this box."""
        return {_OPTION: self}


def secret_box(c: Connection) -> SecretBox:
    """Return the box of the data folder a connection belongs to."""
    box = c.get_execution_options()[_OPTION]
    assert isinstance(box, SecretBox)
    return box


def _make_key(key_file: Path) -> bytes:
    key = Fernet.generate_key()
    unfinished = key_file.with_suffix(".new")  # the real name appears only with the whole key on the disk
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(key_file)
    return key
