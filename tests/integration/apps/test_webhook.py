"""The HTTP client for pages, against a real web server on this machine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from callwright.accounts.service import Page
from callwright.apps.rest.addresses import AddressPolicy
from callwright.apps.rest.problem import Problem, ProblemKind
from callwright.apps.rest.webhook import PageClient, PageSession, with_instance_info
from callwright.testing.web_application import Reply, WebApplication

INFO = b'{"application_instance_id":"i.1","token":null}'
LOCAL = AddressPolicy(allow_loopback=True)
DEADLINE_S = 20.0


class Names(AbstractResolver):
    """Resolves names from lists of answers: the next list at each question, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): lists for name, lists in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        lists = self._answers.get(host)
        if lists is None:
            raise OSError(None, "Name or service not known")
        addresses = lists.pop(0) if len(lists) > 1 else lists[0]
        if not addresses:
            raise OSError(None, "Temporary failure in name resolution")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@dataclass
class Here:
    web: WebApplication
    session: PageSession
    client: PageClient
    names: Names = field(default_factory=Names)

    async def post(self, path: str) -> bytes:
        return (await self.session.ask(Page(url=f"{self.web.url}{path}"), INFO)).body


@asynccontextmanager
async def opened(tmp_path: Path, policy: AddressPolicy, names: Names | None, total_s: float) -> AsyncIterator[Here]:
    async with (
        WebApplication() as web,
        await PageClient.open(
            policy, media_cache=tmp_path / "cache", resolver=names, total_timeout_s=total_s
        ) as client,
    ):
        yield Here(web=web, session=client.session(), client=client, names=names or Names())


def ask(
    tmp_path: Path,
    story: Callable[[Here], Awaitable[None]],
    *,
    policy: AddressPolicy = LOCAL,
    names: Names | None = None,
    total_s: float = 5.0,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), opened(tmp_path, policy, names, total_s) as here:
            await story(here)

    asyncio.run(main(), debug=True)


async def refused(here: Here, url: str, *, method: str = "POST") -> str:
    """Ask for a page that must fail, and return the problem."""
    with pytest.raises(Problem) as raised:
        await here.session.ask(Page(url=url, method="GET" if method == "GET" else "POST"), INFO)
    assert raised.value.kind is ProblemKind.PAGE_REQUEST_FAILED
    return raised.value.text


def content(path: str) -> bytes:
    return Path(path).read_bytes()


# --- where requests may go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.0.01",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0.0.0.0",
        "0",
        "localhost",
        "localhost.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ],
)
def test_no_spelling_of_this_machine_is_reached(tmp_path: Path, host: str) -> None:
    async def story(here: Here) -> None:
        await refused(here, f"http://{host}:{here.web.port}/first")
        assert here.web.asked == []

    ask(tmp_path, story, policy=AddressPolicy())


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "10.0.0.1", "192.168.0.1", "100.100.100.200"],
)
def test_metadata_and_private_literals_are_refused_though_loopback_is_allowed(tmp_path: Path, host: str) -> None:
    async def story(here: Here) -> None:
        assert "pages must be at public addresses" in await refused(here, f"http://{host}/latest/meta-data")

    ask(tmp_path, story)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_metadata_is_refused(tmp_path: Path, status: int) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=status, headers={"Location": "http://169.254.169.254/latest/"}))
        assert "169.254.169.254 is a link-local address" in await refused(here, f"{here.web.url}/first")

    ask(tmp_path, story)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://[::1"])
def test_redirect_to_another_scheme_is_refused(tmp_path: Path, location: str) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=302, headers={"Location": location}))
        await refused(here, f"{here.web.url}/first")
        assert here.web.paths() == ["/first"]

    ask(tmp_path, story)


def test_name_that_resolves_inside_is_refused(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        text = await refused(here, f"http://inside.example:{here.web.port}/first")
        assert "10.9.8.7 is a private address" in text
        assert here.names.asked == ["inside.example"]

    ask(tmp_path, story, names=Names(inside_example=[["10.9.8.7"]]))


def test_name_that_resolves_inside_and_outside_is_connected_to_outside_only(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        await here.session.ask(Page(url=f"http://both.example:{here.web.port}/first"), INFO)
        assert here.web.asked[0].headers["Host"] == f"both.example:{here.web.port}"

    ask(tmp_path, story, names=Names(both_example=[["10.9.8.7", "127.0.0.1"]]))


def test_name_that_changes_its_address_between_check_and_connection_gains_nothing(tmp_path: Path) -> None:
    """Only the checked answer is connected to: a second, different answer is never asked for."""

    async def story(here: Here) -> None:
        await refused(here, f"http://rebinding.example:{here.web.port}/first")
        assert here.web.asked == []
        assert len(here.names.asked) == 1

    ask(
        tmp_path,
        story,
        policy=AddressPolicy(allowed=(ip_network("192.0.2.0/24"),)),
        names=Names(rebinding_example=[["127.0.0.1"], ["192.0.2.1"]]),
    )


# --- redirects


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (302, "GET", "GET"),
        (307, "GET", "GET"),
    ],
)
def test_redirect_keeps_or_changes_the_method_and_always_carries_the_info(
    tmp_path: Path, status: int, method: str, then: str
) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=status, headers={"Location": "/moved?b=2"}))
        here.web.reply("/moved", Reply(body=b"{}"))
        page = Page(url=f"{here.web.url}/first?a=1", method="GET" if method == "GET" else "POST")
        reply = await here.session.ask(page, INFO)
        assert reply.body == b"{}"
        assert reply.url == f"{here.web.url}/moved?b=2"
        moved = here.web.asked[1]
        assert moved.method == then
        assert moved.info == json.loads(INFO)
        assert moved.query["b"] == "2"
        assert "a" not in moved.query

    ask(tmp_path, story)


def test_redirect_that_repeats_the_info_argument_does_not_double_it(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=302, headers={"Location": "/first/?x=1&instance_info=old"}))
        await here.session.ask(Page(url=f"{here.web.url}/first", method="GET"), INFO)
        assert here.web.asked[1].info == json.loads(INFO)
        assert here.web.asked[1].query["x"] == "1"

    ask(tmp_path, story)


def test_sixth_redirect_is_not_followed(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/loop", Reply(status=307, headers={"Location": "/loop"}))
        assert "more than 5 HTTP redirects" in await refused(here, f"{here.web.url}/loop")
        assert len(here.web.asked) == 6

    ask(tmp_path, story)


def test_redirect_without_location_is_a_problem(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=302))
        assert "status 302 without a Location" in await refused(here, f"{here.web.url}/first")

    ask(tmp_path, story)


# --- credentials and cookies


def test_user_information_is_sent_as_basic_and_shown_nowhere(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        url = f"http://us%20er:s%3Acret@127.0.0.1:{here.web.port}/first"
        here.web.reply("/first", Reply(status=500))
        text = await refused(here, url)
        asked = here.web.asked[0]
        assert asked.headers["Authorization"] == "Basic dXMgZXI6czpjcmV0"
        assert asked.headers["Host"] == f"127.0.0.1:{here.web.port}"
        assert "cret" not in text

    ask(tmp_path, story)


def test_user_information_follows_a_redirect_on_its_own_server_only(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=307, headers={"Location": "/second"}))
        here.web.reply("/second", Reply(status=307, headers={"Location": f"http://localhost:{here.web.port}/third"}))
        await here.session.ask(Page(url=f"http://user:secret@127.0.0.1:{here.web.port}/first"), INFO)
        assert ["Authorization" in asked.headers for asked in here.web.asked] == [True, True, False]

    ask(tmp_path, story)


def test_cookies_of_one_session_are_not_seen_in_another(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(status=204, headers={"Set-Cookie": "s=1; Path=/"}))
        await here.post("/first")
        await here.post("/second")
        await here.client.session().ask(Page(url=f"{here.web.url}/third"), INFO)
        assert [asked.cookies.get("s") for asked in here.web.asked] == [None, "1", None]

    ask(tmp_path, story)


def test_cookie_set_by_a_redirect_is_sent_to_where_it_leads(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        headers = {"Location": "/second", "Set-Cookie": "s=1; Path=/"}
        here.web.reply("/first", Reply(status=307, headers=headers))
        await here.post("/first")
        assert here.web.asked[1].cookies == {"s": "1"}

    ask(tmp_path, story)


# --- answers


def test_204_has_no_body_and_notifications_take_any_success(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        assert await here.post("/first") == b""
        here.web.reply("/told", Reply(status=202))
        reply = await here.session.notify(Page(url=f"{here.web.url}/told"), INFO)
        assert reply.status == 202
        assert "status 202" in await refused(here, f"{here.web.url}/told")

    ask(tmp_path, story)


def test_answer_beyond_the_limit_is_a_problem(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/big", Reply(body=b"x" * (1024 * 1024 + 1)))
        here.web.reply("/just", Reply(body=b"x" * (1024 * 1024)))
        assert "more than 1048576 bytes" in await refused(here, f"{here.web.url}/big")
        assert len(await here.post("/just")) == 1024 * 1024

    ask(tmp_path, story)


def test_compressed_answer_is_a_problem(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))
        assert "compressed" in await refused(here, f"{here.web.url}/first")
        assert here.web.asked[0].headers["Accept-Encoding"] == "identity"

    ask(tmp_path, story)


def test_request_that_may_have_been_received_is_not_repeated(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/first", Reply(breaks=True))
        for method in ("POST", "GET"):
            assert "the connection broke" in await refused(here, f"{here.web.url}/first", method=method)
        assert len(here.web.asked) == 2

    ask(tmp_path, story)


def test_request_that_cannot_have_been_sent_is_tried_once_more(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        await here.session.ask(Page(url=f"http://flaky.example:{here.web.port}/first"), INFO)
        assert len(here.web.asked) == 1
        assert len(here.names.asked) == 2
        assert "the host 'gone.example' was not found" in await refused(here, "http://gone.example/")
        assert here.names.asked[2:] == ["gone.example"] * 2

    ask(tmp_path, story, names=Names(flaky_example=[[], ["127.0.0.1"]]))


def test_refused_connection_names_host_and_port(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
            port = taken.getsockname()[1]
            assert f"no connection to 127.0.0.1:{port}" in await refused(here, f"http://127.0.0.1:{port}/")

    ask(tmp_path, story)


def test_tls_to_a_server_without_tls_is_a_problem_that_says_so(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        assert "TLS" in await refused(here, f"https://127.0.0.1:{here.web.port}/first")

    ask(tmp_path, story)


def test_server_that_does_not_speak_http_is_a_problem(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            text = await refused(here, f"http://127.0.0.1:{port}/")
            assert "not HTTP" in text or "connection broke" in text

    ask(tmp_path, story)


def test_header_of_many_kilobytes_is_fine_and_an_endless_one_is_named(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/long", Reply(headers={"X-Long": "x" * 20_000}))
        assert (await here.session.ask(Page(url=f"{here.web.url}/long"), b"{}")).status == 200
        here.web.reply("/endless", Reply(headers={"X-Long": "x" * 40_000}))
        assert "a line of its head is longer than 32768 bytes" in await refused(here, f"{here.web.url}/endless")

    ask(tmp_path, story)


def test_page_that_does_not_answer_in_time_is_a_problem(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/never", Reply(delay_s=None))
        assert "no complete answer within 0.3 s" in await refused(here, f"{here.web.url}/never")

    ask(tmp_path, story, total_s=0.3)


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("http://h/p", ""),
        ("http://h/p?a=1&b=%20", "a=1&b=%20&"),
        ("http://h/p?instance_info=x&a=1", "a=1&"),
        ("http://h/p?a", "a&"),
    ],
)
def test_info_is_added_behind_the_query_that_is_there(url: str, query: str) -> None:
    added = with_instance_info(URL(url), b'{"a":"b&c"}')
    assert added.raw_query_string == f"{query}instance_info=%7B%22a%22%3A%22b%26c%22%7D"
    assert added.query["instance_info"] == '{"a":"b&c"}'


# --- sounds


def test_sound_is_fetched_once_while_it_is_fresh_and_carries_no_info(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/bell.wav", Reply(body=b"RIFF", headers={"Cache-Control": "max-age=60"}))
        paths = [await here.session.fetch_sound(f"{here.web.url}/bell.wav") for _ in range(3)]
        assert len(set(paths)) == 1
        assert content(paths[0]) == b"RIFF"
        assert len(here.web.asked) == 1
        assert here.web.asked[0].method == "GET"
        assert here.web.asked[0].query == {}

    ask(tmp_path, story)


def test_many_calls_that_want_one_sound_at_once_fetch_it_once(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/bell.wav", Reply(body=b"RIFF", delay_s=0.1))
        url = f"{here.web.url}/bell.wav"
        await asyncio.gather(*(here.session.fetch_sound(url) for _ in range(20)))
        assert len(here.web.asked) == 1

    ask(tmp_path, story)


def test_calls_that_want_a_sound_of_a_page_that_never_answers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/bell.wav", Reply(body=b"RIFF", delay_s=30))
        url = f"{here.web.url}/bell.wav"
        async with asyncio.timeout(5):  # one after the other, it would be 20 seconds
            ends = await asyncio.gather(*(here.session.fetch_sound(url) for _ in range(20)), return_exceptions=True)
        assert {type(end) for end in ends} == {Problem}

    ask(tmp_path, story, total_s=1.0)


def test_stale_sound_is_asked_for_again_with_its_etag(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        headers = {"Cache-Control": "no-cache", "ETag": '"7"'}
        here.web.reply("/bell.wav", Reply(body=b"one", headers=headers), Reply(status=304, headers=headers))
        url = f"{here.web.url}/bell.wav"
        first, second = await here.session.fetch_sound(url), await here.session.fetch_sound(url)
        assert first == second
        assert content(second) == b"one"
        assert [asked.headers.get("If-None-Match") for asked in here.web.asked] == [None, '"7"']

    ask(tmp_path, story)


def test_another_scope_has_its_own_copy(tmp_path: Path) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/bell.wav", Reply(body=b"one"), Reply(body=b"two"))
        url = f"{here.web.url}/bell.wav"
        assert content(await here.session.fetch_sound(url)) == b"one"
        assert content(await here.client.session(cache_scope="7").fetch_sound(url)) == b"two"

    ask(tmp_path, story)


@pytest.mark.parametrize("reply", [Reply(status=404), Reply(status=204), Reply(body=b"x" * (5 * 1024 * 1024 + 1))])
def test_sound_that_cannot_be_had_is_a_problem(tmp_path: Path, reply: Reply) -> None:
    async def story(here: Here) -> None:
        here.web.reply("/bell.wav", reply)
        with pytest.raises(Problem, match="page request failed: GET"):
            await here.session.fetch_sound(f"{here.web.url}/bell.wav")

    ask(tmp_path, story)
