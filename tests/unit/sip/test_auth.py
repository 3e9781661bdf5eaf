"""Digest: the published examples, the choice among challenges, and both sides against each other."""

from __future__ import annotations

import itertools

import pytest

from callwright.sip.auth import Answerer, Challenge, Credentials, challenges_of, make_challenge, parse_parts, verify
from callwright.sip.errors import SipParseError, UnsafeText
from callwright.sip.headers import Headers

MUFASA = Credentials(user="Mufasa", password="Circle of Life")
RFC7616 = 'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, nonce="{}", opaque="{}"'


def challenged(*values: str, name: str = "WWW-Authenticate") -> Headers:
    return Headers([(name, value) for value in values])


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_comes_out(algorithm: str, response: str) -> None:
    nonce, opaque = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    value = (
        f'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
        f'nonce="{nonce}", nc=00000001, cnonce="{cnonce}", qop=auth, response="{response}", opaque="{opaque}"'
    )
    realm = "http-auth@example.org"
    assert verify(value, method="GET", nonce=nonce, realm=realm, credentials=MUFASA)
    for wrong in (
        value.replace("00000001", "00000002"),
        value.replace("Mufasa", "Simba"),
        value.replace("qop=auth", "qop=x"),
    ):
        assert not verify(wrong, method="GET", nonce=nonce, realm=realm, credentials=MUFASA)
    assert not verify(value, method="PUT", nonce=nonce, realm=realm, credentials=MUFASA)
    assert not verify(value, method="GET", nonce="other", realm=realm, credentials=MUFASA)
    assert not verify("Digest", method="GET", nonce=nonce, realm=realm, credentials=MUFASA)


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
@pytest.mark.parametrize("qop", [True, False])
def test_what_we_answer_is_what_we_verify(algorithm: str, qop: bool) -> None:
    numbers = itertools.count(1)
    answerer = Answerer(MUFASA, lambda: f"{next(numbers):032x}")
    challenge = make_challenge(
        realm='a "quoted" realm', nonce="n\\1", algorithm=algorithm, qop=qop, opaque="o", stale=True
    )
    assert answerer.pairs("INVITE", "sip:h") == []
    assert answerer.learn(challenged(challenge), {})
    for count in (1, 2):
        ((name, value),) = answerer.pairs("INVITE", "sip:h")
        assert name == "Authorization"
        assert verify(value, method="INVITE", nonce="n\\1", realm='a "quoted" realm', credentials=MUFASA)
        assert (f"nc={count:08x}" in value) is qop
        assert 'opaque="o"' in value
        assert "Circle" not in value


def test_of_several_algorithms_the_strongest_we_know_is_taken_for_each_realm() -> None:
    headers = challenged(
        'Digest realm="a", nonce="1", algorithm=MD5',
        'Digest realm="a", nonce="2", algorithm=SHA-512-256',
        'Digest realm="a", nonce="3", algorithm=SHA-256, qop="auth-int,auth"',
        'Digest realm="b", nonce="4"',
        'Digest realm="c", nonce="5", qop="auth-int"',
        'Basic realm="a"',
        "nonsense",
        "Digest realm=",
    )
    assert challenges_of(headers) == [
        Challenge(realm="a", nonce="3", algorithm="sha-256", qop=True),
        Challenge(realm="b", nonce="4", algorithm="md5"),
    ]


def test_a_new_nonce_starts_counting_anew_and_the_same_goes_on() -> None:
    answerer = Answerer(MUFASA, lambda: "0" * 32)
    first = challenged(make_challenge(realm="r", nonce="1"))
    second = challenged(make_challenge(realm="r", nonce="2", stale=True))
    answerer.learn(first, {})
    answerer.pairs("A", "sip:h")
    answerer.learn(first, {})
    assert "nc=00000002" in answerer.pairs("A", "sip:h")[0][1]
    answerer.learn(second, {})
    assert "nc=00000001" in answerer.pairs("A", "sip:h")[0][1]


def test_a_refused_answer_is_final_unless_stale_and_stale_has_a_limit() -> None:
    answerer = Answerer(MUFASA, lambda: "0" * 32)
    tried: dict[str, int] = {}
    plain = challenged(make_challenge(realm="r", nonce="1"))
    stale = challenged(make_challenge(realm="r", nonce="2", stale=True))
    assert answerer.learn(plain, tried)
    assert not answerer.learn(plain, tried)
    assert sum(answerer.learn(stale, tried) for _ in range(10)) == 3
    assert answerer.learn(plain, {})


def test_a_second_challenge_by_another_algorithm_is_answered_once() -> None:
    answerer = Answerer(MUFASA, lambda: "0" * 32)
    tried: dict[str, int] = {}
    assert answerer.learn(challenged(make_challenge(realm="r", nonce="1")), tried)
    stronger = challenged(make_challenge(realm="r", nonce="2", algorithm="SHA-256"))
    assert answerer.learn(stronger, tried)
    [(_, answer)] = answerer.pairs("A", "sip:h")
    assert "algorithm=SHA-256" in answer
    assert not answerer.learn(stronger, tried)
    assert not answerer.learn(challenged(make_challenge(realm="r", nonce="3")), tried)


def test_without_credentials_or_a_known_scheme_there_is_nothing_to_answer() -> None:
    assert not Answerer(None, lambda: "0").learn(challenged(make_challenge(realm="r", nonce="1")), {})
    assert Answerer(None, lambda: "0").pairs("A", "sip:h") == []
    assert not Answerer(MUFASA, lambda: "0").learn(challenged('Basic realm="r"'), {})


def test_credentials_may_be_given_later() -> None:
    answerer = Answerer(None, lambda: "0" * 32)
    answerer.use(MUFASA)
    assert answerer.learn(challenged(make_challenge(realm="r", nonce="1"), name="Proxy-Authenticate"), {})
    assert answerer.pairs("A", "sip:h")[0][0] == "Proxy-Authorization"


def test_the_password_is_in_no_repr() -> None:
    assert "Circle" not in repr(MUFASA)


def test_malformed_headers_are_the_peers_fault_and_malformed_challenges_ours() -> None:
    for value in ("", "Digest", "Digest a", 'Digest a="', "Digest a=b c=d"):
        with pytest.raises(SipParseError):
            parse_parts(value)
    with pytest.raises(UnsafeText):
        make_challenge(realm="a\r\nb", nonce="n")
