"""The commands against a running node: what they print, and what they say to names nobody knows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
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
    assert ran.err.startswith("callwright: there is no outbound service 'nowhere' of any account; there are: calls")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("service", "show", "nowhere"), "there is no outbound service 'nowhere' of any account; there are: calls"),
        (("queue", "show", "nowhere"), "there is no outbound service 'nowhere' of any account; there are: calls"),
        (("pause", "--service", "nowhere"), "there is no outbound service 'nowhere' of any account; there are: calls"),
        (("account", "rules", "nobody"), f"there is no account 'nobody' in cloud 0-0-0; there are: {ACCOUNT}"),
        (("service", "list", "--account", "nobody"), "there is no account 'nobody' in cloud 0-0-0; there are: "),
        (("trunk", "show", "nobody"), "there is no trunk 'nobody'; there is none yet"),
        (("job", "nothing", "--account", ACCOUNT), "no start with the unique_id 'nothing' is known"),
    ],
)
def test_a_name_nobody_knows_is_told_with_those_there_are(
    commands: Commands, arguments: tuple[str, ...], told: str
) -> None:
    [line] = commands.run(*arguments, code=1).err.splitlines()
    assert line.startswith(f"callwright: {told}")


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


def test_call_hands_every_optional_field_to_the_node(place: Place, commands: Commands) -> None:
    wishes = {
        "--start-after": "2030-01-31T09:00:00Z",
        "--expires-at": "1896087600",
        "--ring-timeout": "20",
        "--max-duration": "60.5",
        "--priority": "-3",
        "--calling-hours": "Europe/London mon-fri 09:00-20:00",
        "--header": "X-Ticket: 7",
    }
    options = [each for pair in wishes.items() for each in pair]
    retries = ("--retry", "busy=300x2", "--retry", "no_answer=60")
    ran = commands.run("call", BUSY, "--service", "calls", "--from", CALLER, *options, *retries)
    columns = "due_at, expires_at, ring_timeout_s, max_duration_s, priority, calling_hours, retry, extra_sip_headers"
    with closing(sqlite3.connect(f"file:{place.node.data / 'callwright.db'}?mode=ro", uri=True)) as raw:
        (row,) = raw.execute(f"SELECT {columns} FROM starts WHERE reference = ?", [reference_of(ran.out)])
    *plain, hours, retry, headers = row
    assert plain == [1896080400.0, 1896087600.0, 20.0, 60.5, -3]
    assert json.loads(hours) == {"time_zone": "Europe/London", "days": [0, 1, 2, 3, 4], "opens": 540, "closes": 1200}
    assert json.loads(retry)["busy"] == {"after_s": 300.0, "times": 2}
    assert json.loads(retry)["no_answer"] == {"after_s": 60.0, "times": 1}
    assert json.loads(headers) == [["X-Ticket", "7"]]


@pytest.mark.parametrize(
    ("option", "value", "why", "code"),
    [
        ("--start-after", "12", "start_after: must lie in the years 2000 to 2099", 1),
        ("--expires-at", "tomorrow", "expires_at: must be epoch seconds, or a time such as", 1),
        ("--ring-timeout", "0", "ring_timeout: must be 1 to 600 seconds", 1),
        ("--max-duration", "86401", "max_duration: must be 1 to 86400 seconds", 1),
        ("--priority", "11", "priority: must be a whole number from -10 to 10", 1),
        ("--priority", "high", "--priority", 2),
        ("--calling-hours", "9 to 5", "'9 to 5' is not written as", 2),
        ("--calling-hours", "Mars/Base 09:00-20:00", "'Mars/Base' is not a time zone this machine knows", 1),
        ("--retry", "rejected=1", "'rejected=1' is not written as", 2),
        ("--retry", "busy=0", "retry.busy.after: must be 1 to 604800 seconds", 1),
        ("--header", "no colon", "is not written as 'Name: value'", 2),
        ("--header", "From: me", "the header 'From' may not be sent", 1),
        ("--unique-id", "x", "is for --url", 2),
        ("--url", "http://127.0.0.1:9", "with --url the account must be named", 2),
    ],
)
def test_call_names_the_optional_field_that_is_wrong(
    commands: Commands, option: str, value: str, why: str, code: int
) -> None:
    ran = commands.run("call", BUSY, "--service", "calls", "--from", CALLER, option, value, code=code)
    assert why in " ".join(ran.err.split()), ran.err


def test_with_a_url_the_web_services_of_a_node_elsewhere_are_used(place: Place, commands: Commands) -> None:
    node = place.node
    service = node.add_service("far", first_page=f"{place.web.url}/first")
    there = ("--url", f"http://{node.http}", "--account", ACCOUNT)
    key = (*there, "--secret", node.access_key())
    start = ("call", BUSY, "--service", "far", "--from", CALLER, "--unique-id", "job 7")
    later = ("--start-after", "2030-01-31T09:00:00Z")
    reference = reference_of(commands.run(*start, *later, *there, "--secret", service.password).out)
    assert reference_of(commands.run(*start, *later, *there, "--secret", service.password).out) == reference
    again = commands.run(*start, *there, "--secret", service.password, code=1)
    assert "unique_id 'job 7' was used with different parameters" in again.err
    for place_asked in (key, ("--account", ACCOUNT)):
        found = json.loads(commands.run("job", "job 7", *place_asked).out)
        assert found == {"queued": 1, "service_refs": [reference], "count": 1}
    assert "unique_id 'other'" in commands.run("job", "other", code=1).err
    assert json.loads(commands.run("status", reference, *key).out)[reference]["status"] == "queued"
    assert f"far      {ACCOUNT}" in commands.run("queue", "list", *key).out
    assert commands.run("queue", "show", "far", *key).out == f"far of {ACCOUNT}: 1 waiting\n"
    assert commands.run("cancel", reference, *key).out == f"{reference}  success\n"
    assert commands.run("queue", "purge", "far", "--yes", *key).out == f"far of {ACCOUNT}: 0 starts cancelled\n"
    assert "HTTP 401" in commands.run("status", reference, *there, "--secret", "wrong", code=1).err
    assert "WEB_SERVICE_SECRET" in commands.run("status", reference, *there, code=2).err


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
