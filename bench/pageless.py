"""A node whose REST applications ask no page: each hangs up as soon as its call is up.

For measuring signalling and records alone. Everything else is what ``callwright serve`` does.
"""

from __future__ import annotations

from callwright.apps.rest import runner
from callwright.apps.rest.application import WebApplication
from callwright.apps.rest.problem import Problem
from callwright.apps.rest.stage import Stage
from callwright.cli.main import main


async def _hang_up_at_once(application: WebApplication, stage: Stage) -> Problem | None:
    return None


if __name__ == "__main__":
    runner.run = _hang_up_at_once
    main()
