"""Wrong use, as it happens to everybody: each time a clear message, the right code, no process left."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.node import CALLER, Node, Service, callwright, running_node
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import MarkedProcesses, marked_processes

from callwright.sandbox.observations import read_rings
from callwright.testing.web_application import Reply, WebApplication, action_list

FREE = "127.0.0.1:0"
BUSY_PAGE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node that is used wrongly, the web application of its services, and where its far ends note their rings."""

    node: Node
    web: WebApplication
    service: Service
    never: str
    rings: Path
    marked: MarkedProcesses

    def service_of(self, name: str, reply: Reply | None = None) -> Service:
        """Make a service whose first page gives ``reply``."""
        if reply is not None:
            self.web.reply(f"/{name}/first", reply)
        base = f"{self.web.url}/{name}"
        return self.node.add_service(
            name, first_page=f"{base}/first", final_page=f"{base}/final", error_page=f"{base}/error"
        )

    def problem_of(self, name: str) -> str:
        """Return what the error page of a service was told."""
        [told] = self.web.infos(f"/{name}/error")
        return str(told["error_result"]["result"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("wrong_use")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        phone_network(outside, folder / "phones") as phones,
        marked_processes() as marked,
        running_node(folder / "data", marked, "--sandbox-at", f"{phones.host}:{phones.port}") as node,
    ):
        web.page("/good/first", {"hang_up": {}})
        web.reply("/never/first", Reply(delay_s=None))
        good, never = (
            node.add_service(
                name,
                first_page=f"{web.url}/{name}/first",
                final_page=f"{web.url}/{name}/final",
                error_page=f"{web.url}/{name}/error",
            )
            for name in ("good", "never")
        )
        # The page that never answers takes half a minute to be given up: it runs beside the other tests.
        reference = node.start(never, "tel:999005550009")
        yield Place(node=node, web=web, service=good, never=reference, rings=folder / "phones", marked=marked)


# --- a node that cannot start


def serve(*arguments: str, marked: MarkedProcesses) -> subprocess.CompletedProcess[str]:
    """Run ``callwright serve`` where it must refuse to."""
    return callwright("serve", "--log-level", "warning", *arguments, environment=marked.environment)


def test_a_taken_http_port_is_named_and_nothing_stays(place: Place, tmp_path: Path) -> None:
    with marked_processes() as marked:
        ended = serve("--data", str(tmp_path), "--http", place.node.http, "--sip", FREE, marked=marked)
        marked.expect_none(within_s=0.5)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"callwright: cannot listen on http {place.node.http}: another program has that port"
    )
    assert "--http HOST:PORT" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_taken_sip_port_is_named_and_nothing_stays(place: Place, tmp_path: Path) -> None:
    with marked_processes() as marked:
        ended = serve("--data", str(tmp_path), "--http", FREE, "--sip", place.node.sip, marked=marked)
        marked.expect_none(within_s=0.5)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"callwright: cannot listen on sip {place.node.sip}: another program has that port")
    assert "--sip HOST:PORT" in ended.stderr


def test_a_data_folder_in_use_is_refused_with_the_process_that_has_it(place: Place) -> None:
    ended = serve("--data", str(place.node.data), "--http", FREE, "--sip", FREE, marked=place.marked)
    assert ended.returncode == 1
    assert f"{place.node.data} is in use by another node (process {place.node.process.pid})" in ended.stderr
    assert place.node.link.get("/status")["status"] == "ok"


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # Not a matter of permissions, which mean nothing to root: no folder can be made there by anyone.
    with marked_processes() as marked:
        ended = serve("--data", "/proc/callwright", "--http", FREE, "--sip", FREE, marked=marked)
    assert ended.returncode == 1
    assert ended.stderr.startswith("callwright: the data folder /proc/callwright cannot be used")


def test_a_public_address_needs_a_flag_and_the_message_names_it(tmp_path: Path) -> None:
    with marked_processes() as marked:
        ended = serve("--data", str(tmp_path / "data"), "--http", "0.0.0.0:0", "--sip", FREE, marked=marked)
    assert ended.returncode == 1
    assert "http.host is 0.0.0.0, which other machines can reach" in ended.stderr
    assert "--behind-proxy" in ended.stderr
    assert "--insecure-http" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    with marked_processes() as marked:
        ended = serve("--data", str(tmp_path), "--http", FREE, "--sip", "192.0.2.7:0", marked=marked)
        marked.expect_none(within_s=0.5)
    assert ended.returncode == 1
    assert ended.stderr.startswith("callwright: cannot listen on sip 192.0.2.7:0: this machine does not have that")


# --- requests that are refused


def test_a_wrong_password_is_401_and_starts_nothing(place: Place) -> None:
    answer = place.node.post("/service_start", place.service.user, "wrong", rest_calls='{"to": "tel:999005550009"}')
    assert answer.status == 401
    assert answer.body["error"]["code"] == "HTTP 401"


def test_an_unknown_service_is_401_like_a_wrong_password(place: Place) -> None:
    user = place.service.user.replace("good", "nowhere")
    answer = place.node.post("/service_start", user, place.service.password, rest_calls='{"to": "tel:999005550009"}')
    assert answer.status == 401


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ("{to: tel:1}", "rest_calls"),
        ("[]", "rest_calls"),
        ("17", "rest_calls"),
        ("{}", "to"),
        ('{"to": 17}', "to"),
        ('{"to": "tel:abc", "from": "441908273800"}', "to"),
        ('{"to": "tel:999005550009"}', "from"),
        ('[{"to": "tel:999005550009", "from": "441908273800"}, {"to": ""}]', "rest_calls[1].to"),
        ('{"to": "sip:a@b", "extra_sip_headers": [{"name": "From", "value": "x"}]}', "From"),
        ('{"to": "sip:a@b", "extra_sip_headers": [{"name": "X-A", "value": "1\\r\\nTo: x"}]}', "X-A"),
    ],
)  # fmt: skip
def test_malformed_rest_calls_are_400_and_the_answer_names_the_place(place: Place, calls: str, told: str) -> None:
    rings = len(read_rings(place.rings))
    answer = place.node.service_start(place.service, calls)
    assert answer.status == 400, answer
    assert told in " ".join([answer.body["error"]["text"], *answer.body["error"].get("details", [])])
    assert len(read_rings(place.rings)) == rings


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("tel:441908273800", "No route: the simulated phone network only has numbers that start with 99900"),
        ("loc:somewhere", "Inbound services are not available"),
        ("webrtc:somebody", "WebRTC clients are not available"),
        ("wss://example.com/x", "WebSocket destinations are not available"),
    ],
)
def test_what_cannot_be_called_is_accepted_and_could_not_run_with_the_reason(
    place: Place, to: str, reason: str
) -> None:
    over = place.node.wait_over(place.node.start(place.service, to))
    assert over.status.startswith(f"couldnotrun {reason}")
    assert over.instance == ""


def test_a_conference_needs_a_service_of_that_kind_and_is_not_available_in_one(place: Place) -> None:
    over = place.node.wait_over(place.node.start(place.service, "con:room"))
    assert over.status.startswith("couldnotrun ")
    rooms = place.node.add_service("rooms", first_page=f"{place.web.url}/good/first", call_type="conference")
    over = place.node.wait_over(place.node.start(rooms, "con:room"))
    assert over.status == "couldnotrun Conferences are not available"


def test_a_caller_id_that_is_not_the_accounts_could_not_run(place: Place) -> None:
    place.node.link.post(
        "/accounts", {"username": "eve@example.com", "type": "production", "caller_ids": ["4412345678"]}
    )
    service = place.node.add_service("hers", account="eve@example.com", first_page=f"{place.web.url}/good/first")
    allowed, forbidden = (
        place.node.service_start(service, {"to": "tel:999005550002", "from": caller}).body[0]
        for caller in ("4412345678", CALLER)
    )
    over = place.node.wait_all_over([allowed, forbidden], account="eve@example.com")
    assert over[allowed].status == "completed 0"
    assert over[forbidden].status.startswith("couldnotrun ")
    assert "caller" in over[forbidden].status.lower()


def test_a_uas_service_could_not_run_while_no_server_is_connected(place: Place) -> None:
    service = place.node.add_service("remote", application="uas", uas_application_name="app")
    answer = place.node.post("/service_start", service.user, service.password, outbound_parameters="x")
    assert answer.status == 200
    assert place.node.wait_over(answer.body[0]).status.startswith("couldnotrun ")


# --- pages that do wrong


@pytest.mark.parametrize(
    ("name", "reply", "code", "told"),
    [
        ("failing", Reply(status=500), -10, "page request failed: POST {url}: status 500"),
        ("nonsense", Reply(body=b"<html>hello</html>"), -11, "invalid response"),
        ("odd", Reply(body=action_list({"dance": {}})), -12, "invalid action: actions[0]"),
        ("loop", Reply(status=302, headers={"Location": "first"}), -10, "more than 5 HTTP redirects"),
        ("breaking", Reply(breaks=True), -10, "page request failed: POST {url}: the connection broke"),
        ("missing", Reply(body=action_list({"play": {"play_list": [{"file_to_play": "no.wav"}]}})), -13, "media not"),
    ],
)  # fmt: skip
def test_a_page_that_does_wrong_ends_the_call_and_its_application_is_told_why(
    place: Place, name: str, reply: Reply, code: int, told: str
) -> None:
    service = place.service_of(name, reply)
    over = place.node.wait_over(place.node.start(service, "tel:999005550009"))
    assert over.status == f"completed {code}"
    assert told.format(url=f"{place.web.url}/{name}/first") in place.problem_of(name)
    [error] = place.node.records(over)["errs"].values()
    assert f"completion status [{code}]" in str(error)
    [final] = place.web.infos(f"/{name}/final")
    assert (final["this_call"]["call_cause"], final["this_call"]["call_raw_cause"]) == ("completed", "200")


def test_a_page_nobody_serves_ends_the_call_with_the_reason(place: Place) -> None:
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/first"
    service = place.node.add_service("nobody", first_page=url, error_page=f"{place.web.url}/nobody/error")
    over = place.node.wait_over(place.node.start(service, "tel:999005550009"))
    assert over.status == "completed -10"
    assert f"POST {url}: no connection to" in place.problem_of("nobody")


def test_a_far_end_that_hangs_up_does_not_wait_for_a_page_that_never_answers(place: Place) -> None:
    service = place.service_of("waiting", Reply(delay_s=None))
    over = place.node.wait_over(place.node.start(service, "tel:999005550010"), within_s=15)
    assert over.status == "completed 0"
    [final] = place.web.infos("/waiting/final")
    assert final["this_call"]["call_cause"] == "hung_up"


def test_a_final_page_that_fails_changes_nothing(place: Place) -> None:
    service = place.service_of("rude")
    place.web.page("/rude/first", {"hang_up": {}})
    place.web.reply("/rude/final", Reply(status=500))
    over = place.node.wait_over(place.node.start(service, "tel:999005550009"))
    assert over.status == "completed 0"
    assert place.node.records(over)["errs"] == {}
    assert len(place.web.infos("/rude/final")) == 1


def test_a_page_that_never_answers_is_given_up_and_the_call_ended(place: Place) -> None:
    over = place.node.wait_over(place.never, within_s=BUSY_PAGE_S + 15)
    assert over.status == "completed -10"
    assert "no complete answer within 30 s" in place.problem_of("never")
    assert len(place.web.infos("/never/final")) == 1


def test_nobody_else_on_the_machine_can_read_what_a_node_keeps(place: Place) -> None:
    # node.log is what this test's own shell redirected.
    kept = [path for path in place.node.data.rglob("*") if path.is_file() and path.name != "node.log"]
    assert place.node.data / "callwright.db" in kept
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
