"""A whole node with everything around it for the measurements of calls: its far end, its pages, and starts for it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import soundfile

from bench.node import BenchNode, bench_node
from bench.pages import PageServer
from bench.processes import children
from bench.sipp import FarEnd

FEED_S = 0.5  # starts are handed over as often, in lists
PATIENCE_S = 30.0
HEADROOM = 1.25  # so much more than is offered the account may start: its pacing is not what is measured
ACCOUNT = "bench@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running node with one service, its far end and its page server."""

    node: BenchNode
    far_end: FarEnd
    pages: PageServer
    data: Path
    login: str

    @property
    def workers(self) -> list[int]:
        return children(self.node.pid)

    def offer(self, count: int) -> None:
        """Hand over a list of starts in one request."""
        call = {"to": f"sip:bench@127.0.0.1:{self.far_end.port}", "from": "441908273800", "token": "order-7"}
        body = urlencode({"rest_calls": json.dumps([call] * count)}).encode()
        url = f"http://{self.node.host}:{self.node.port}/service_start"
        with urlopen(Request(url, body, {"Authorization": self.login}), timeout=30) as answer:
            assert len(json.load(answer)) == count

    def feed(self, rate: float, seconds: float) -> Iterator[float]:
        """Hand starts over as they come due, a little ahead: those that wait are paced by the node. Yield, between two
        lists, for how long it has been going on.
        """
        calls, given, began = int(rate * seconds), 0, time.monotonic()
        while given < calls:
            going = time.monotonic() - began
            due = min(calls, int((going + 2 * FEED_S) * rate))
            if due > given:
                self.offer(due - given)
                given = due
            time.sleep(FEED_S)
            yield time.monotonic() - began

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[float, ...]]:
        """Return what the node's database says."""
        path = self.data / "callwright.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query, values).fetchall()

    def until_over(self, calls: int) -> None:
        """Wait until so many starts are finished and settled; give up when nothing moves any more."""
        over, moved = -1.0, time.monotonic()
        while over < calls and time.monotonic() - moved < PATIENCE_S:
            time.sleep(0.2)
            now = self.rows("SELECT count(*) FROM starts WHERE finished_at IS NOT NULL")[0][0]
            if now > over:
                over, moved = now, time.monotonic()


@contextmanager
def scene(
    folder: Path, *, first: object, final: object | None, rate: float, prompt_s: float, module: str = ""
) -> Iterator[Scene]:
    """Open a scene in a folder. ``first`` and ``final`` are what the pages answer; ``prompt.wav`` lasts ``prompt_s``
    seconds; ``module`` stands in for the node's command line.
    """
    far_end = FarEnd(folder)
    pages = PageServer(json.dumps(first), json.dumps(final))
    try:
        with bench_node(folder / "data", module=module) as node:
            node.add_account(ACCOUNT, max_cps=HEADROOM * rate)
            base = f"http://127.0.0.1:{pages.port}"
            last = {} if final is None else {"final_page": f"{base}/final"}
            login = node.add_service(ACCOUNT, "bench", first_page=f"{base}/first", **last)
            found = Scene(node=node, far_end=far_end, pages=pages, data=folder / "data", login=login)
            _prompt(found, prompt_s)
            yield found
    finally:
        pages.kill()
        far_end.kill()


def _prompt(found: Scene, seconds: float) -> None:
    account = found.rows("SELECT id FROM accounts WHERE username = ?", (ACCOUNT,))[0][0]
    folder = found.data / "media" / str(account)
    folder.mkdir(parents=True, exist_ok=True)
    sound = 2000 * np.random.default_rng(1).standard_normal(int(8000 * seconds))
    soundfile.write(folder / "prompt.wav", sound.astype(np.int16), 8000)
