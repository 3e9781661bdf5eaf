"""Which page and which action come next (docs/reference/rest-applications.md, rules of the response).

``Pages`` holds the current action list, the token, and the URL that relative URLs are resolved against. The list of a
new page supersedes what is left of the old one. The error page is given out once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Generic, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from callwright.accounts.service import Page
from callwright.apps.rest.document import PageAnswer, Token
from callwright.apps.rest.fields import MAX_URL_CHARS, url_fault
from callwright.apps.rest.problem import Problem, ProblemKind

MAX_REDIRECTS_IN_A_ROW = 100  # our choice
_USER_INFO = re.compile("(?<=//)[^/?#]*@")


class NamedAction(Protocol):
    """An action, as far as the order of pages is concerned."""

    @property
    def name(self) -> str: ...


ActionT = TypeVar("ActionT", bound=NamedAction)


class Pages(Generic[ActionT]):
    """The pages of one instance. ``token`` is what the next request carries."""

    def __init__(self, *, first: Page, error: Page | None, token: str | None) -> None:
        self.first = first
        self.token = token
        self._error = error if error is not None and error.url else None
        self._base = first.url
        self._waiting: list[ActionT] = []
        self._redirects = 0

    def supersede(self, answer: PageAnswer[ActionT], url: str) -> None:
        """Take over the action list that the page at ``url`` answered with; what was left before is dropped."""
        self._waiting = list(answer.actions)
        self._base = url
        if answer.token is not Token.KEPT:
            self.token = answer.token

    def next_action(self) -> ActionT | None:
        """Return the next action to run, None when there is none left; raise ``Problem`` when redirects never end."""
        if not self._waiting:
            return None
        action = self._waiting.pop(0)
        self._redirects = self._redirects + 1 if action.name == "redirect" else 0
        if self._redirects > MAX_REDIRECTS_IN_A_ROW:
            raise Problem(
                ProblemKind.INVALID_ACTION,
                f"more than {MAX_REDIRECTS_IN_A_ROW} redirects without another action in between",
                action=action.name,
            )
        return action

    def resolve(self, page: Page) -> Page:
        """Return the page with an absolute URL, resolved against the page whose actions are running."""
        url, fault = _resolved(self._base, page.url)
        if fault is not None:
            raise Problem(ProblemKind.INVALID_ACTION, f"the page '{shown_url(page.url)}' {fault}")
        return page if url == page.url else replace(page, url=url)

    def take_error_page(self) -> Page | None:
        """Return the error page the first time, if there is one; None ever after."""
        page, self._error = self._error, None
        return page


@lru_cache(maxsize=1024)
def _resolved(base: str, url: str) -> tuple[str, str | None]:
    """Return an absolute URL and what is wrong with it."""
    if fault := url_fault(url):
        return "", fault
    absolute = urljoin(base, url.strip())
    return absolute, url_fault(absolute) or (None if urlsplit(absolute).hostname else "names no host")


def shown_url(url: str) -> str:
    """Return a URL fit for logs and messages: without user name and password."""
    # What looks like one in a body may be as long as the body: such texts are not kept, here or in urllib.
    return _shown(url) if len(url) <= MAX_URL_CHARS else _USER_INFO.sub("", url, count=1)


@lru_cache(maxsize=1024)
def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable URL)"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
