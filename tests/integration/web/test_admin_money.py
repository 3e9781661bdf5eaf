"""Rates, rules and do-not-call lists, from the command line through the admin socket to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support.command_line import command
from tests.support.web_node import WebNode, web_node

from callwright.accounts import do_not_call
from callwright.records import rates
from callwright.values.money import money

Run = Callable[..., Awaitable[str]]


def on_a_node(folder: Path, body: Callable[[WebNode, Run, Run], Awaitable[None]]) -> None:
    """Run ``body`` with a node that has one account, a command that must succeed and one that must not.

    Both return what the command said; the second returns its error.
    """

    async def run() -> None:
        async with web_node(folder, admin=True) as node:

            async def done(*arguments: str) -> str:
                result = await command(folder, *arguments)
                assert result.exit_code == 0, (result.output, result.exception)
                return result.output

            async def refused(*arguments: str) -> str:
                result = await command(folder, *arguments)
                assert result.exit_code == 1, result.output
                return str(result.exception)

            await body(node, done, refused)

    asyncio.run(run())


def test_the_prices_of_the_node_are_shown_until_a_card_is_set(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        assert (await done("rates", "show")).startswith("prices of the settings of the node\n")
        shown = await done("rates", "set", "--pstn", "0.02", "--feature", "sr_=0.04", "--tollfree-prefix", "44800")
        lines = [line.split() for line in shown.splitlines()]
        assert lines[0] == ["prices", "of", "the", "default", "card"]
        assert ["pstn", "0.02"] in lines
        assert ["feature", "sr_*", "0.04"] in lines
        assert ["tollfree", "prefixes", "44800"] in lines
        assert "sr_" not in await done("rates", "set", "--feature", "sr_=")

    on_a_node(tmp_path, body)


def test_the_rate_of_a_number_is_the_longest_prefix(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        await done("rates", "set", "--pstn", "0.02")
        await done("rates", "set", "--prefix", "+44", "--price", "0.01", "--first", "1", "--next", "1", "--fee", "0.5")
        priced = (await done("rates", "show", "--number", "+44 1908 273800")).splitlines()
        assert priced[-1].split() == ["44", "0.01", "1/1", "0", "0.5"]
        assert (await done("rates", "show", "--number", "33123456789")).splitlines()[-1].split()[:2] == [
            "(others)",
            "0.02",
        ]
        assert await done("rates", "remove", "--prefix", "44") == "1 removed\n"
        assert await done("rates", "remove", "--card") == "1 removed\n"
        assert "prices of the settings" in await done("rates", "show")

    on_a_node(tmp_path, body)


def test_the_card_of_an_account_begins_as_a_copy_of_the_one_in_force(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        account, _ = node.add_account()
        await done("rates", "set", "--pstn", "0.02")
        await done("rates", "set", "--prefix", "44", "--price", "0.01")
        shown = await done("rates", "set", "--platform", "0.03", "--account", account.username)
        assert shown.startswith(f"prices of account {account.username}\n")
        assert "rates of numbers: 1" in shown
        own = node.db.read_now(lambda c: rates.card_of(c, account.id))
        assert own is not None
        assert (own.platform, own.pstn) == (money("0.03"), money("0.02"))

    on_a_node(tmp_path, body)


def test_a_file_of_rates_is_tried_first_and_stored_whole(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        file = tmp_path / "rates.csv"
        file.write_text("prefix,price\n44,0.01\n33,0.02\n")
        await done("rates", "set", "--prefix", "1", "--price", "0.5")
        tried = await done("rates", "import", str(file), "--dry-run", "--replace")
        assert tried == "2 would be added, 0 would be changed, 1 would be removed, 0 unchanged\n"
        assert node.db.read_now(lambda c: rates.count_number_rates(c, None)) == 1
        assert await done("rates", "import", str(file)) == "2 added, 0 changed, 0 removed, 0 unchanged\n"
        assert await done("rates", "import", str(file), "--replace") == "0 added, 0 changed, 1 removed, 2 unchanged\n"
        file.write_text("prefix,price\n44,0.03\n0,1\n7,x\n")
        fault = await refused("rates", "import", str(file))
        assert fault.splitlines()[0] == f"{file} was not imported:"
        assert [line.split(":")[0].strip() for line in fault.splitlines()[1:]] == ["line 3", "line 4"]
        assert node.db.read_now(lambda c: rates.number_rates_of(c, None))["44"].price == money("0.01")

    on_a_node(tmp_path, body)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        assert "No such file" in await refused("rates", "import", str(tmp_path / "missing.csv"))
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        assert "UTF-8" in await refused("donotcall", "import", str(tmp_path / "binary"))

    on_a_node(tmp_path, body)


def test_wrong_amounts_are_refused_by_name_and_change_nothing(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        account, _ = node.add_account()
        assert "pstn" in await refused("rates", "set", "--pstn", "cheap")
        assert "pstn" in await refused("rates", "set", "--pstn=-1")
        assert "prefix" in await refused("rates", "set", "--prefix", "044", "--price", "1")
        assert "--price" in await refused("rates", "set", "--prefix", "44")
        assert "first_s" in await refused("rates", "set", "--prefix", "44", "--price", "1", "--first", "0")
        assert "daily_cap" in await refused("account", "rules", account.username, "--daily-cap=-1")
        assert "no account" in await refused("rates", "set", "--pstn", "1", "--account", "nobody@example.com")
        assert node.db.read_now(lambda c: rates.card_of(c, None)) is None

    on_a_node(tmp_path, body)


def test_rules_are_shown_and_changed_one_by_one(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        account, _ = node.add_account()

        async def rules(*changes: str) -> dict[str, str]:
            shown = await done("account", "rules", account.username, *changes)
            return {line[:18].strip(): line[18:] for line in shown.splitlines()}

        before = await rules()
        assert (before["allow premium"], before["daily cap"], before["balance"]) == ("no", "no limit", "no limit")
        changed = await rules("--allow-premium", "--block", "4470", "--block", "+979", "--daily-cap", "5")
        assert (changed["allow premium"], changed["blocked prefixes"]) == ("yes", "4470, 979")
        credited = await rules("--add-credit", "2.5")
        assert (credited["daily cap"], credited["credit"], credited["balance"]) == ("5", "2.5", "2.5")
        assert (await rules("--add-credit", "1"))["credit"] == "3.5"
        cleared = await rules("--no-premium", "--block", "", "--daily-cap", "", "--credit", "")
        assert {name: cleared[name] for name in before} == before

    on_a_node(tmp_path, body)


def test_numbers_are_listed_however_they_are_written(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        account, _ = node.add_account()
        assert await done("donotcall", "list") == "no number on the list\n"
        added = await done("donotcall", "add", "+44 1908 273800", "441908273801", "--note", "asked")
        assert added == "2 added, 0 were on the list already\n"
        assert await done("donotcall", "add", "441908273800") == "0 added, 1 were on the list already\n"
        listed = (await done("donotcall", "list")).splitlines()
        assert [line.split()[0] for line in listed] == ["number", "441908273800", "441908273801"]
        assert listed[1].endswith("asked")
        assert await done("donotcall", "remove", "+44-1908-273800") == "1 removed, 0 were not on the list\n"
        assert node.db.read_now(lambda c: do_not_call.size(c, account.id)) == 1
        assert "not a telephone number" in await refused("donotcall", "add", "bob")

    on_a_node(tmp_path, body)


def test_a_file_of_numbers_is_tried_first_and_stored_whole(tmp_path: Path) -> None:
    async def body(node: WebNode, done: Run, refused: Run) -> None:
        account, _ = node.add_account()
        file = tmp_path / "numbers.txt"
        file.write_text("number,note\n+44 1908 273800,asked\n441908273801\n441908273800\n")
        await done("donotcall", "add", "441908273801")
        tried = await done("donotcall", "import", str(file), "--dry-run")
        assert tried == "1 would be added, 1 known already, 1 came more than once\n"
        assert await done("donotcall", "import", str(file)) == "1 added, 1 known already, 1 came more than once\n"
        file.write_text("441908273802\n01908 273803\n")
        assert "line 2" in await refused("donotcall", "import", str(file))
        assert node.db.read_now(lambda c: do_not_call.size(c, account.id)) == 2

    on_a_node(tmp_path, body)
