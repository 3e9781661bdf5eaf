"""Run a REST application on an answered call (docs/reference/rest-applications.md, lifecycle)."""

from __future__ import annotations

from callwright.apps.events import EventKind
from callwright.apps.rest.actions import Action
from callwright.apps.rest.application import WebApplication
from callwright.apps.rest.log import Level
from callwright.apps.rest.problem import Problem
from callwright.apps.rest.stage import Next, Stage
from callwright.engine.interface import CallEnded


async def run(application: WebApplication, stage: Stage) -> Problem | None:
    """Ask the first page and do what it and the next ones say, until nothing is left, the call ends or something fails.

    Return what failed, None when nothing did. The call may still be up; the final page is not asked here.
    """
    pages, facts = application.pages, stage.call.facts
    try:
        await stage.while_up(application.ask(pages.first, facts, None))
        while action := pages.next_action():
            done = await _run(action, stage)
            if done.hang_up:
                break
            if done.page is not None:
                await stage.while_up(application.ask(done.page, facts, done.result))
    except CallEnded:
        pass  # nothing more can be done on this call: its end is told by the final page
    except Problem as problem:
        stage.journal.tell(EventKind.PROBLEM, problem.text, level=Level.ERROR)
        for detail in problem.details[1:]:
            stage.note(f"also: {detail}", Level.ERROR)
        await application.ask_error_page(problem, facts)
        return problem
    return None


async def _run(action: Action, stage: Stage) -> Next:
    """Run one action; a problem in it carries its name."""
    stage.journal.tell(EventKind.ACTION_BEGUN, action.name)
    try:
        return await action.run(stage)
    except Problem as problem:
        problem.action = problem.action or action.name
        raise
    finally:
        stage.journal.tell(EventKind.ACTION_ENDED, action.name)
