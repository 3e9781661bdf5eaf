"""Trunks as people write them: what a configuration file declares, and what an edit changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from callwright.engine.trunk_fields import TrunkChanges, TrunkFields, declared_trunks
from callwright.engine.trunk_setup import DEFAULT_CODECS, Trunk, TrunkPrefix
from callwright.sip.way import Transport
from callwright.values.errors import RequestError


def read(text: str, folder: Path, **environ: str) -> list[Trunk]:
    tables = tomllib.loads(text)["trunks"]
    return declared_trunks(tables, file=folder / "callwright.toml", environ=environ)


def test_every_field_can_be_declared(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\n")
    [first, second, third] = read(
        """
        [[trunks]]
        name = "first"
        host = "sip.example"
        port = 5061
        transport = "tls"
        enabled = false
        prefixes = ["44:1:3", "*:2"]
        user = "alice"
        password_file = "secret"
        register = true
        expires_s = 300
        from_user = "account7"
        from_domain = "carrier.example"
        assert_identity = true
        withhold = true
        strip = "44"
        add = "0"
        plus = true
        codecs = ["pcmu"]
        max_calls = 10
        max_cps = 2.5
        check_every_s = 0

        [[trunks]]
        name = "second"
        host = "192.0.2.1"
        user = "bob"
        password_env = "BOB"

        [[trunks]]
        name = "third"
        host = "192.0.2.1"
        """,
        tmp_path,
        BOB="builder",
    )
    assert first == Trunk(
        name="first", host="sip.example", port=5061, transport=Transport.TLS, enabled=False,
        prefixes=(TrunkPrefix(digits="44", weight=3), TrunkPrefix(priority=2)), user="alice", password="open sesame",
        register=True, expires_s=300, from_user="account7", from_domain="carrier.example", assert_identity=True,
        withhold=True, strip="44", add="0", plus=True, codecs=("PCMU",), max_calls=10, max_cps=2.5, check_every_s=0,
    )  # fmt: skip
    assert second.password == "builder"
    assert third == Trunk(name="third", host="192.0.2.1")


@pytest.mark.parametrize(
    ("text", "said", "field"),
    [
        ('host = "h"', r"trunk 1: .*missing required field `name`", "trunks"),
        ('name = "a"\nhost = "h"\nport = "5060"', r"trunk 1 \('a'\): port: Expected `int`, got `str`", "trunks.port"),
        ('name = "a"\nhost = "h"\nprot = 5060', "unknown field `prot`", "trunks"),
        ('name = "a"\nhost = "h"\nport = 99999', "port of a trunk must be 1 to 65535", "trunks.port"),
        ('name = "a"\nhost = "h"\ntransport = "sctp"', "'sctp' is none of udp, tcp, tls", "trunks.transport"),
        ('name = "a"\nhost = "h"\nprefixes = ["x:y"]', "'x:y' is not a prefix", "trunks.prefixes"),
        ('name = "a"\nhost = "h"\nprefixes = [44]', "prefixes: Expected `str`, got `int`", "trunks.prefixes"),
        ('name = "a"\nhost = "h"\ncodecs = ["opus"]', "codecs of a trunk must be a choice of", "trunks.codecs"),
        ('name = "a"\nhost = "h"\nregister = true', "user of a trunk must be given", "trunks.user"),
        ('name = "a"\nhost = "h"\npassword = "x"', "password does not belong into this file", "trunks.password"),
        (
            'name = "a"\nhost = "h"\nuser = "u"\npassword_env = "NOWHERE"',
            "the variable NOWHERE, which is not set",
            "trunks.password_env",
        ),
        (
            'name = "a"\nhost = "h"\nuser = "u"\npassword_file = "nowhere"',
            "password_file nowhere cannot be read",
            "trunks.password_file",
        ),
        ('name = "a"\nhost = "h"\nuser = "u"\npassword_file = "empty"', "is empty", "trunks.password_file"),
        (
            'name = "a"\nhost = "h"\nuser = "u"\npassword_file = "f"\npassword_env = "E"',
            "not both",
            "trunks.password_env",
        ),
        (
            'name = "a"\nhost = "h"\n[[trunks]]\nname = "a"\nhost = "h"',
            r"trunk 2 \('a'\): name is taken",
            "trunks.name",
        ),
    ],
)
def test_an_error_names_the_file_the_trunk_and_the_field(tmp_path: Path, text: str, said: str, field: str) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(RequestError, match=said) as raised:
        read(f"[[trunks]]\n{text}", tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}/callwright.toml, trunk ")
    assert raised.value.field == field


def test_new_trunks_have_the_defaults_of_trunks() -> None:
    written = TrunkFields(name="a", host="h").trunk()
    assert written == Trunk(name="a", host="h")
    assert written.codecs == DEFAULT_CODECS


def test_a_change_leaves_what_is_not_given_as_it_was() -> None:
    before = Trunk(name="a", host="h", user="u", password="p", max_cps=5.0, max_calls=3, plus=True)
    wanted = msgspec.json.decode(
        b'{"name": "a", "max_cps": 0, "user": "", "password": "", "plus": false, "codecs": ["pcmu"], "prefixes":["1"]}',
        type=TrunkChanges,
    )
    assert wanted.of(before) == Trunk(
        name="a", host="h", max_calls=3, codecs=("PCMU",), prefixes=(TrunkPrefix(digits="1"),)
    )
    assert TrunkChanges(name="a").of(before) == before
    with pytest.raises(RequestError, match="user of a trunk must be given together with a password"):
        TrunkChanges(name="a", user="").of(before)
