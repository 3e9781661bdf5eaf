"""The commands against a running node: what they print, and what they say to names nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.node import ACCOUNT, CALLER, Node, json_after, running_node
from tests.support.node_commands import Commands
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import marked_processes

from callwright.testing.web_application import WebApplication

BUSY, ANSWERS = "tel:999005550002", "tel:999005550009"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    node: Node
    web: WebApplication


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("commands")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        phone_network(outside, folder / "phones") as phones,
        marked_processes() as marked,
        running_node(folder / "data", marked, "--sandbox-at", f"{phones.host}:{phones.port}") as node,
    ):
        web.page("/first", {"hang_up": {}})
        node.add_service("calls", first_page=f"{web.url}/first")
        yield Place(node=node, web=web)


@pytest.fixture
def commands(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(place.node.data, monkeypatch, capsys)


def reference_of(out: str) -> str:
    return out.splitlines()[0]


# --- calls


def test_call_prints_the_reference_alone_for_scripts(place: Place, commands: Commands) -> None:
    ran = commands.run("call", BUSY, "--service", "calls", "--from", CALLER)
    [reference] = ran.out.splitlines()
    assert place.node.wait_over(reference).status == "completed 0"


def test_call_watch_shows_the_stages_and_the_records(commands: Commands) -> None:
    ran = commands.run("call", ANSWERS, "--service", "calls", "--from", CALLER, "--token", "t", "--watch")
    for stage in ("queued for service calls", "INVITE", "180 Ringing", "200 OK", "BYE", "finished, return code 0"):
        assert stage in ran.out, ran.out
    adr = json_after(ran.out, "completed 0")["adr"]
    assert adr["rest_initial_token"] == "t"


def test_call_watch_of_a_start_that_could_not_run_fails_with_the_reason(commands: Commands) -> None:
    ran = commands.run("call", "tel:441908273800", "--service", "calls", "--from", CALLER, "--watch", code=1)
    assert "could not run: No route" in ran.out
    assert "couldnotrun No route" in ran.out


def test_call_of_an_unknown_service_names_it(commands: Commands) -> None:
    ran = commands.run("call", BUSY, "--service", "nowhere", "--from", CALLER, code=1)
    assert ran.err.startswith("callwright: ")
    assert "nowhere" in ran.err


def test_call_of_a_malformed_destination_names_the_fault(commands: Commands) -> None:
    ran = commands.run("call", "tel:abc", "--service", "calls", "--from", CALLER, code=1)
    assert "to" in ran.err
    assert "Traceback" not in ran.err


def test_call_of_a_number_without_caller_id_says_so(commands: Commands) -> None:
    ran = commands.run("call", BUSY, "--service", "calls", code=1)
    assert "from" in ran.err


def test_call_without_a_service_is_a_mistake_of_the_command_line(commands: Commands) -> None:
    ran = commands.run("call", BUSY, code=2)
    assert "--service" in ran.err


def test_status_shows_state_and_records(place: Place, commands: Commands) -> None:
    reference = reference_of(commands.run("call", BUSY, "--service", "calls", "--from", CALLER).out)
    place.node.wait_over(reference)
    ran = commands.run("status", reference)
    assert json_after(ran.out, "")[reference]["status"] == "completed 0"
    assert "BUSY(486)" in ran.out


def test_status_of_unknown_references_only_fails_and_says_so(commands: Commands) -> None:
    ran = commands.run("status", "no_such.1.1", code=1)
    assert '"unknown"' in ran.out
    assert "none of these references is known" in ran.err


def test_cancel_takes_back_what_waits_and_fails_for_what_is_over_or_unknown(place: Place, commands: Commands) -> None:
    # A second start of this service must wait for the first, which never ends by itself.
    place.web.page("/long/first", {"sleep": {"seconds": 600}})
    slow = place.node.add_service("slow", first_page=f"{place.web.url}/long/first", max_running=1)
    running, waiting = (place.node.start(slow, ANSWERS) for _ in range(2))
    assert commands.run("cancel", waiting).out == f"{waiting}  success\n"
    assert place.node.status_of(waiting) == "cancelled"
    ran = commands.run("cancel", waiting, "no_such.1.1", code=1)
    assert ran.out == f"{waiting}  success\nno_such.1.1  unknown\n"
    over = reference_of(commands.run("call", BUSY, "--service", "calls", "--from", CALLER).out)
    place.node.wait_over(over)
    assert commands.run("cancel", over, code=1).out == f"{over}  failed\n"
    assert place.node.status_of(running) in ("queued", "running")


# --- accounts and services


def test_an_account_is_added_listed_and_gets_a_new_key(commands: Commands) -> None:
    added = commands.run("account", "add", "ann@example.com", "--type", "premium", "--caller-id", "any")
    key = added.out.split("API Access Key")[1].split()[0]
    assert len(key) == 22  # 128 bits
    listed = commands.run("account", "list").out
    assert "ann@example.com" in listed
    assert key not in listed
    rotated = commands.run("account", "rotate-key", "ann@example.com").out
    assert key not in rotated


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("account", "add", ACCOUNT), "exists already"),
        (("account", "add", "a/b@example.com"), "a/b@example.com"),
        (("account", "add", "x@example.com", "--type", "gold"), "type"),
        (("account", "rotate-key", "nobody@example.com"), "nobody@example.com"),
        (("service", "show", "nowhere"), "nowhere"),
        (("service", "list", "--account", "nobody@example.com"), "nobody@example.com"),
        (
            ("service", "add", "calls", "--account", ACCOUNT, "--first-page", "http://127.0.0.1/"),
            "service 'calls' already",
        ),
        (("service", "add", "s", "--account", ACCOUNT), "first_page"),
        (("service", "add", "s", "--account", ACCOUNT, "--first-page", "ftp://x"), "first_page"),
        (("service", "add", "a/b", "--account", ACCOUNT, "--first-page", "http://127.0.0.1/"), "a/b"),
        (("service", "add", "s", "--account", "nobody@example.com", "--first-page", "http://x/"), "nobody@example.com"),
    ],
)
def test_what_cannot_be_added_or_found_is_one_line_that_names_it(
    commands: Commands, arguments: tuple[str, ...], told: str
) -> None:
    ran = commands.run(*arguments, code=1)
    assert ran.err.startswith("callwright: ")
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_service_is_added_listed_and_shown_without_its_password(place: Place, commands: Commands) -> None:
    page = f"{place.web.url}/first"
    added = commands.run("service", "add", "shown", "--account", ACCOUNT, "--first-page", page, "--ring-timeout", "20")
    password = added.out.split("password")[1].split()[0]
    assert f"0-0-0/{ACCOUNT}/shown" in added.out
    assert page in commands.run("service", "list", "--account", ACCOUNT).out
    shown = commands.run("service", "show", "shown", "--account", ACCOUNT).out
    assert json.loads(shown)["ring_timeout_s"] == 20
    assert password not in shown
    answer = place.node.post(
        "/service_start", f"0-0-0/{ACCOUNT}/shown", password, rest_calls=json.dumps({"to": BUSY, "from": CALLER})
    )
    assert answer.status == 200


# --- the doctor


def test_the_doctor_finds_the_running_node_and_nothing_bad(place: Place, commands: Commands) -> None:
    ran = commands.run("doctor")
    assert f"web {place.node.link.get('/status')['http']}" in ran.out
    assert "\nbad" not in ran.out
