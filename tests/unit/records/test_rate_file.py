from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callwright.records.number_rate import NumberRate
from callwright.records.rate_file import MAX_PROBLEMS, read_rate_file, write_rate_file
from callwright.values.money import Money, money

amounts = st.decimals(min_value=0, max_value=100, places=6).map(lambda value: Money(abs(value)))
number_rates = st.builds(
    NumberRate,
    prefix=st.from_regex(r"[1-9][0-9]{0,14}", fullmatch=True),
    price=amounts,
    first_s=st.integers(1, 3600),
    next_s=st.integers(1, 3600),
    minimum=amounts,
    fee=amounts,
    tollfree=st.booleans(),
)


@given(st.lists(number_rates, min_size=1, unique_by=lambda rate: rate.prefix))
def test_what_is_written_is_read_again(rates: list[NumberRate]) -> None:
    read = read_rate_file(write_rate_file(rates))
    assert read.problems == ()
    assert list(read.rates) == rates


def test_a_carriers_file_with_other_columns_is_understood() -> None:
    text = '\ufeffCountry, Prefix ,Price,first,Next\r\n"Italy, mobile",+39 3,0.125,30,6\r\nFrance,33,0.01,,\r\n'
    assert read_rate_file(text).rates == (
        NumberRate(prefix="393", price=money("0.125"), first_s=30, next_s=6),
        NumberRate(prefix="33", price=money("0.01")),
    )


def test_every_wrong_line_is_told_with_its_number_and_its_fault() -> None:
    text = "\n".join(
        [
            "prefix,price,first,tollfree",
            "44,0.01,,",
            "44,0.02,,",
            ",0.02,,",
            "33,,,",
            "34,cheap,,",
            "35,-1,,",
            "36,1,0,",
            "37,1,soon,",
            "38,1,,maybe",
            "x9,1,,",
        ]
    )
    problems = read_rate_file(text).problems
    assert [problem.partition(":")[0] for problem in problems] == [f"line {n}" for n in range(3, 12)]
    for problem, fault in zip(
        problems,
        [
            "the prefix '44' came before, in line 2",
            "the prefix is empty",
            "the price is empty",
            "price is 'cheap'",
            "the rate price is -1",
            "first_s is 0",
            "first is 'soon'",
            "tollfree is 'maybe'",
            "'x9' is not the beginning",
        ],
        strict=True,
    ):
        assert fault in problem


def test_a_file_without_the_needed_heading_is_refused_in_one_sentence() -> None:
    assert "no column prefix and no price" in read_rate_file("44;0.01\n").problems[0]
    assert "no column price" in read_rate_file("prefix,cost\n44,0.01\n").problems[0]


def test_an_empty_file_has_no_rates() -> None:
    assert read_rate_file("prefix,price\n").problems == ("the file has no rates",)


def test_a_broken_quote_is_told() -> None:
    assert "not CSV" in read_rate_file('prefix,price\n44,"0.01"x\n').problems[0]


def test_no_more_than_a_hundred_problems_are_told() -> None:
    problems = read_rate_file("prefix,price\n" + "x,1\n" * 500).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "there are more problems: mend these first"
