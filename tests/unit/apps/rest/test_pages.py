from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import pytest

from callwright.accounts.service import Page
from callwright.apps.rest.document import PageAnswer, Token
from callwright.apps.rest.pages import MAX_REDIRECTS_IN_A_ROW, Pages, shown_url
from callwright.apps.rest.problem import Problem, ProblemKind

FIRST = Page(url="https://user:secret@example.net/app/first?x=1")
ERROR = Page(url="https://example.net/error")


@dataclass(frozen=True)
class Step:
    name: str


def pages(*, error: Page | None = ERROR, token: str | None = "start") -> Pages[Step]:
    return Pages(first=FIRST, error=error, token=token)


def answer(*names: str, token: str | Token | None = Token.KEPT) -> PageAnswer[Step]:
    return PageAnswer(actions=tuple(Step(name) for name in names), token=token)


def rest_of(some: Pages[Step]) -> list[str]:
    names = []
    while action := some.next_action():
        names.append(action.name)
    return names


def test_nothing_is_to_do_before_a_page_has_answered() -> None:
    assert pages().next_action() is None


def test_actions_come_in_order() -> None:
    some = pages()
    some.supersede(answer("play", "record"), FIRST.url)
    assert rest_of(some) == ["play", "record"]


def test_new_list_supersedes_what_is_left_of_the_old_one() -> None:
    some = pages()
    some.supersede(answer("play", "record", "sleep"), FIRST.url)
    some.next_action()
    some.supersede(answer("hang_up"), FIRST.url)
    assert rest_of(some) == ["hang_up"]


@pytest.mark.parametrize(("given", "token"), [(Token.KEPT, "start"), (None, None), ("new", "new"), ("", "")])
def test_token_follows_the_answers(given: str | Token | None, token: str | None) -> None:
    some = pages()
    some.supersede(answer(token=given), FIRST.url)
    assert some.token == token


def test_redirects_in_a_row_are_limited() -> None:
    some = pages()
    for _ in range(MAX_REDIRECTS_IN_A_ROW):
        some.supersede(answer("redirect"), FIRST.url)
        assert some.next_action() == Step("redirect")
    some.supersede(answer("redirect"), FIRST.url)
    with pytest.raises(Problem) as raised:
        some.next_action()
    assert raised.value.kind is ProblemKind.INVALID_ACTION
    assert raised.value.action == "redirect"


def test_another_action_in_between_starts_the_count_of_redirects_again() -> None:
    some = pages()
    for _ in range(MAX_REDIRECTS_IN_A_ROW + 5):
        some.supersede(answer("sleep", "redirect"), FIRST.url)
        assert rest_of(some) == ["sleep", "redirect"]


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("second", "https://user:secret@example.net/app/second"),
        ("/second", "https://user:secret@example.net/second"),
        ("../second?y=2", "https://user:secret@example.net/second?y=2"),
        ("?y=2", "https://user:secret@example.net/app/first?y=2"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example/x", "http://other.example/x"),
    ],
)
def test_relative_url_is_resolved_against_the_page_that_returned_it(url: str, resolved: str) -> None:
    some = pages()
    assert some.resolve(Page(url=url, method="GET")) == Page(url=resolved, method="GET")


def test_base_moves_with_every_page() -> None:
    some = pages()
    some.supersede(answer(), "https://example.net/deep/down/page")
    assert some.resolve(Page(url="x")).url == "https://example.net/deep/down/x"


@pytest.mark.parametrize("url", ["http://", "http:///x", "https://[::1", "http://host:99999/"])
def test_url_that_leads_nowhere_is_a_problem_that_shows_no_password(url: str) -> None:
    with pytest.raises(Problem) as raised:
        pages().resolve(Page(url=url))
    assert raised.value.kind is ProblemKind.INVALID_ACTION


def test_error_page_is_given_out_once() -> None:
    some = pages()
    assert some.take_error_page() == ERROR
    assert some.take_error_page() is None
    assert pages(error=None).take_error_page() is None
    assert pages(error=Page(url="")).take_error_page() is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.net:8443/a?b=c", "https://example.net:8443/a?b=c"),
        ("http://example.net/", "http://example.net/"),
        ("relative/x", "relative/x"),
        ("http://[::1/", "(unreadable URL)"),
        ("http://a@b:c@host/", "http://host/"),
    ],
)
def test_shown_url_has_no_user_information(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_long_texts_are_shown_without_user_information_and_are_not_kept() -> None:
    rest = "/" + "x" * 5000 + "@y//a@b"
    tracemalloc.start()
    try:
        for number in range(2000):
            assert shown_url(f"https://user:p@ss@example.net/{number}{rest}") == f"https://example.net/{number}{rest}"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
