from __future__ import annotations

import base64
import hashlib

import pytest

from callwright.accounts.secrets import access_key_digest, hash_password, new_access_key, same_digest
from callwright.values.errors import RequestError


def test_an_access_key_is_128_bits_in_22_characters_of_base64() -> None:
    keys = {new_access_key() for _ in range(200)}
    assert len(keys) == 200
    assert {len(key) for key in keys} == {22}
    assert {len(base64.b64decode(key + "==", validate=True)) for key in keys} == {16}


def test_only_the_digest_of_a_key_is_kept() -> None:
    assert access_key_digest("WzyPvLMYBUMvFOgXj3S7fg") == hashlib.sha256(b"WzyPvLMYBUMvFOgXj3S7fg").digest()


def test_digests_are_compared_and_a_missing_one_never_fits() -> None:
    given = access_key_digest("one")
    assert same_digest(given, access_key_digest("one"))
    assert not same_digest(given, access_key_digest("two"))
    assert not same_digest(given, None)
    assert not same_digest(bytes(32), None)


def test_a_password_is_hashed_with_argon2id_and_its_own_salt() -> None:
    first, second = hash_password("s3cret:with colon"), hash_password("s3cret:with colon")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert "s3cret" not in first


def test_an_empty_password_cannot_be_hashed() -> None:
    with pytest.raises(RequestError):
        hash_password("")
