"""Speaks to a running node through the Unix socket in its data folder.

No secret is needed on the machine itself: the socket has mode 0600.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from callwright.values.errors import CallwrightError
from callwright.web.error_catalogue import CATALOGUE

TIMEOUT_S = 60.0
_GENERAL = {CATALOGUE[number].code: f"{CATALOGUE[number].text}: " for number in ("0002", "404")}


class NoNode(CallwrightError):
    """No node answers in this data folder."""


class NodeRefused(CallwrightError):
    """The node answered that it will not do what was asked."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float | None) -> None:
        super().__init__("node", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class NodeLink:
    """One node, by the path of its admin socket. Every method raises ``NoNode`` or ``NodeRefused`` when it fails."""

    def __init__(self, admin_socket: Path) -> None:
        self.admin_socket = admin_socket

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        return self._ask("POST", path, body=body)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects of a stream, one per line, until the node ends it."""
        connection, response = self._send("GET", path, query=query, timeout_s=None)
        try:
            _check(response.status, lambda: response.read())
            while line := response.readline():
                if line.strip():
                    yield cast("dict[str, Any]", json.loads(line))
        finally:
            connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        connection, response = self._send(method, path, query=query, body=body, timeout_s=TIMEOUT_S)
        try:
            content = response.read()
            _check(response.status, lambda: content)
            return json.loads(content) if content else None
        finally:
            connection.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        timeout_s: float | None,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _UnixConnection(self.admin_socket, timeout_s)
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": "application/json"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            connection.request(method, target, content, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise NoNode(
                f"no node answers at {self.admin_socket} ({problem}): "
                "start one with `callwright serve` on the same --data folder"
            ) from problem


def _particular(code: str, text: str) -> str:
    """Return the text of an error without the general words before it, where those help nobody at a terminal."""
    return text.removeprefix(_GENERAL[code]) if code in _GENERAL else text


def _check(status: int, content: Any) -> None:
    if status < 400:
        return
    try:
        error = json.loads(content())["error"]
        text = "; ".join([_particular(str(error["code"]), str(error["text"])), *map(str, error.get("details", []))])
    except (ValueError, KeyError, TypeError):
        text = f"the node answered HTTP {status}"
    raise NodeRefused(text)
