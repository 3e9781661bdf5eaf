"""What is written, and what is said."""

from __future__ import annotations

import pytest

from callwright.speech.normalise import normalise

CASES = [
    # Codes, PINs and account numbers
    ("Your PIN is 4096.", "Your PIN is four zero nine six."),
    ("The code AB12-C9 is new.", "The code A, B, one two, C, nine is new."),
    ("account 12345678", "account one two three four, five six seven eight"),
    ("extension 204", "extension two zero four"),
    ("ext. 12", "extension twelve"),
    ("reference: 0071", "reference: zero zero seven one"),
    ("order number 4711", "order number four seven one one"),
    ("order 150 roses", "order one hundred fifty roses"),
    ("You are number 3 in the queue.", "You are number three in the queue."),
    ("flight BA249", "flight B, A, two four nine"),
    ("room 412", "room four one two"),
    ("COVID-19", "COVID nineteen"),
    ("an mp3 file", "an mp three file"),
    ("A4", "A, four"),
    ("a 5-year plan", "a five-year plan"),
    # Telephone numbers
    ("800-555-0199", "eight zero zero, five five five, zero one nine nine"),
    ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ("(800) 555-0199", "eight zero zero, five five five, zero one nine nine"),
    ("555-0199.", "five five five, zero one nine nine."),
    ("+44 1908 273800", "plus four four, one nine zero eight, two seven three, eight zero zero"),
    ("+1 415 555 0100", "plus one, four one five, five five five, zero one zero zero"),
    ("020 7946 0958", "zero two zero, seven nine four six, zero nine five eight"),
    ("01908273800", "zero one nine, zero eight two seven, three eight zero zero"),
    ("Dial 112 now", "Dial one one two now"),
    ("call us on 0800 123 456", "call us on zero eight zero zero, one two three, four five six"),
    # Quantities
    ("1 message", "one message"),
    ("1,234.5 points", "one thousand two hundred thirty-four point five points"),
    ("about 25000 people", "about twenty-five thousand people"),
    ("12345678901", "one two three, four five six seven, eight nine zero one"),
    ("it is -5 outside", "it is minus five outside"),
    ("3.14", "three point one four"),
    ("2+2=4", "two plus two equals four"),
    ("a 10x15 print", "a ten by fifteen print"),
    ("5-7 days", "five to seven days"),
    ("1939-1945", "nineteen thirty-nine to nineteen forty-five"),
    ("the 2nd of 3", "the second of three"),
    ("version 1.2.3", "version one dot two dot three"),
    ("192.168.0.1", "one hundred ninety-two dot one hundred sixty-eight dot zero dot one"),
    ("1/2", "one half"),
    ("2 3/4 cups", "two and three quarters cups"),
    ("24/7", "twenty-four seven"),
    ("½", "one half"),
    ("٤٢", "forty-two"),
    ("No. 5", "number five"),
    ("#1", "number one"),
    # Money
    ("$12.50", "twelve dollars and fifty cents"),
    ("$1", "one dollar"),
    ("$0.99", "ninety-nine cents"),
    ("$1,000,000", "one million dollars"),
    ("$1.5 million", "one point five million dollars"),
    ("$3bn", "three billion dollars"),
    ("-$5", "minus five dollars"),
    ("£1.01", "one pound and one penny"),
    ("€3.50", "three euros and fifty cents"),
    ("10€", "ten euros"),
    ("20 USD", "twenty dollars"),
    ("EUR 7", "seven euros"),
    ("¥500", "five hundred yen"),
    # Percent and units
    ("20%", "twenty percent"),
    ("99.9 %", "ninety-nine point nine percent"),
    ("10-20%", "ten to twenty percent"),
    ("5km", "five kilometres"),
    ("1 kg", "one kilogram"),
    ("100 km/h", "one hundred kilometres per hour"),
    ("20°C", "twenty degrees Celsius"),
    ("-1°", "minus one degree"),
    ("10 m²", "ten square metres"),
    ("16GB", "sixteen gigabytes"),
    ("5 in total", "five in total"),
    # Dates and years
    ("2024-03-15", "March fifteenth, twenty twenty-four"),
    ("2024-03-15T09:30", "March fifteenth, twenty twenty-four, nine thirty"),
    ("15/03/2024", "March fifteenth, twenty twenty-four"),
    ("3/4/24", "March fourth, twenty twenty-four"),
    ("March 5, 2024", "March fifth, twenty twenty-four"),
    ("Mar. 5th", "March fifth"),
    ("5 March", "the fifth of March"),
    ("the 5th of May 1999", "the fifth of May, nineteen ninety-nine"),
    ("June 2001", "June two thousand one"),
    ("in 1999", "in nineteen ninety-nine"),
    ("1999 people", "one thousand nine hundred ninety-nine people"),
    ("the 1990s", "the nineteen nineties"),
    # Times
    ("at 9:05", "at nine oh five"),
    ("at 9:00", "at nine o'clock"),
    ("14:30", "fourteen thirty"),
    ("9 am", "nine a.m."),
    ("10:15pm", "ten fifteen p.m."),
    ("until 5 p.m.", "until five p.m."),
    ("at 9 pm. Then", "at nine p.m. Then"),
    ("10:15:30", "ten fifteen and thirty seconds"),
    # Addresses
    ("john.smith24@example.com", "john dot smith two four at example dot com"),
    ("https://www.example.com/a-b.", "double-u double-u double-u dot example dot com slash a dash b."),
    ("example.co.uk", "example dot co dot uk"),
    ("End.Next", "End.Next"),
    # Abbreviations and signs
    ("Mr. Smith and Dr. Jones", "Mister Smith and Doctor Jones"),
    ("St. Louis", "Saint Louis"),
    ("12 Main St., please", "twelve Main Street, please"),
    ("the dr. said", "the dr. said"),
    ("tea, coffee, etc.", "tea, coffee, et cetera"),
    ("e.g. now", "for example now"),
    ("fish & chips, AT&T", "fish and chips, AT and T"),
    ("press * or #", "press star or pound"),
    ("", ""),
    ("Nothing to do here.", "Nothing to do here."),
]


@pytest.mark.parametrize(("written", "said"), CASES)
def test_what_is_written_is_said_so(written: str, said: str) -> None:
    assert normalise(written) == said


@pytest.mark.parametrize(("written", "said"), [case for case in CASES if case[0]])
def test_a_reading_inside_a_sentence_is_the_same(written: str, said: str) -> None:
    ending = "" if said.endswith(".") else "."
    assert normalise(f"Well: {written}{ending}") == f"Well: {said}{ending}"


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("", "March fourth, twenty twenty-four, pound"),
        ("US", "March fourth, twenty twenty-four, pound"),
        ("GB", "April third, twenty twenty-four, hash"),
    ],
)
def test_the_region_decides_the_order_of_dates_and_the_name_of_the_hash_key(region: str, said: str) -> None:
    assert normalise("03/04/2024, #", region=region) == said


def test_other_languages_are_left_to_their_engine() -> None:
    assert normalise("Tiene 3 mensajes & 1.234,50 €", language="es") == "Tiene 3 mensajes & 1.234,50 €"
