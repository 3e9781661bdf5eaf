"""The life of a node: opened in order, served, drained, and closed in the reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from callwright.config.binding import check_binding
from callwright.config.settings import Settings
from callwright.server.node import Node, NodeAddresses, StopRequest
from callwright.server.opening import OpenSandbox, open_parts
from callwright.web.admin import make_admin_app
from callwright.web.app import make_app
from callwright.web.listen import Listener, Manner


async def run_node(
    settings: Settings,
    *,
    stop: StopRequest,
    on_ready: Callable[[NodeAddresses], None],
    open_sandbox: OpenSandbox | None = None,
) -> None:
    """Open a node, say ``on_ready``, serve until ``stop`` is asked, drain and close.

    Raise ``OutsideError`` or ``RequestError`` saying which part cannot be opened and what to do; nothing stays behind.
    """
    check_binding(settings)
    async with AsyncExitStack() as opened:
        node = await _open(settings, opened, open_sandbox)
        on_ready(node.addresses)
        async with asyncio.TaskGroup() as tasks:
            upkeep = [tasks.create_task(work, name=name) for name, work in node.upkeep_work().items()]
            tasks.create_task(node.dispatcher.run(), name="dispatcher")
            tasks.create_task(node.finish_former_life(), name="finish former life")
            await stop.asked.wait()
            await node.drain(stop)
            for task in upkeep:
                task.cancel()


async def _open(settings: Settings, opened: AsyncExitStack, open_sandbox: OpenSandbox | None) -> Node:
    parts = await open_parts(settings, opened, open_sandbox)
    node = Node(settings, parts)
    await node.take_over()
    await node.trunk_desk.load()
    opened.push_async_callback(node.trunks.close)
    opened.push_async_callback(node.engine.close)
    http = await Listener.on_socket(
        make_app(node.web),
        parts.http,
        manner=Manner(
            certificate=parts.certificate,
            behind_proxy=settings.http.behind_proxy,
            head_bytes=settings.limits.head_bytes,
            slow_s=settings.limits.slow_request_s,
            link_base=node.web.link_base,
        ),
    )
    opened.push_async_callback(http.close)
    admin = await Listener.on_unix_socket(make_admin_app(node.admin), settings.admin_socket)
    opened.push_async_callback(admin.close)
    return node
