from __future__ import annotations

import pytest

from callwright.accounts.credentials import UserName, split_user_name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1-2-0/bob@example.com", ("1-2-0", "bob@example.com", None)),
        ("1-2-0/bob@example.com/My Service", ("1-2-0", "bob@example.com", "My Service")),
        ("x/y", ("x", "y", None)),
    ],
)
def test_a_user_name_has_two_or_three_parts(text: str, parts: tuple[str, str, str | None]) -> None:
    assert split_user_name(text) == UserName(cloud_id=parts[0], username=parts[1], service_name=parts[2])


@pytest.mark.parametrize("text", ["", "bob", "/", "1-2-0/", "/bob", "1-2-0//service", "1-2-0/bob/", "a/b/c/d"])
def test_any_other_user_name_is_wrong(text: str) -> None:
    assert split_user_name(text) is None
