"""Two answers whose values or units differ are never the same, however they are written."""

from fractions import Fraction
from math import pi

from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.text.math_answers import compare, extract, gold_of

VALUES = {
    Fraction(n): (str(n), f"{n}.0", f"\\text{{{n}}}" if n < 0 else f"{2 * n}/2")
    for n in (2, 5, 7, 12, 50, 500)
} | {
    Fraction(-5): ("-5", "\u22125"),
    Fraction(5000): ("5,000", "5\u202f000", "5{,}000", "5e3", "5 thousand", "5\\times 10^3"),
    Fraction(5_000_000): ("5 million", "5000000", "5\u00a0000\u00a0000"),
    Fraction(1, 2): ("0.5", "1/2", "\\frac12", "\\dfrac{1}{2}", "50%", "50\\%", "50 percent"),
    Fraction(5, 2): ("2.5", "2 1/2", "2\\frac12", "2 and a half"),
    Fraction(60): ("60", "5 dozen"),
    Fraction(2**0.5): ("\\sqrt{2}", "\\sqrt{2.0}"),
    Fraction(5 * pi): ("5\\pi", "5 \\pi"),
}
UNITS = {
    "": ("{}",),
    "dollar": ("${}", "\\${}", "{} dollars", "US${}", "USD {}", "{}$"),
    "australian dollar": ("A${}",),
    "euro": ("€{}", "{}€", "{} €", "{} euros", "EUR {}"),
    "pound": ("£{}", "{} pounds"),
    "yen": ("¥{}", "{} yen"),
    "cent": ("{} cents", "{}¢"),
    "degree": ("{}°", "{} degrees", "{}^\\circ", "{}^{{\\circ}}"),
    "celsius": ("{} °C", "{} degrees Celsius"),
    "cm": ("{} cm", "{}cm", "{}\\text{{ cm}}", "{} \\mathrm{{cm}}"),
    "cm^2": ("{} cm^2", "{} cm²", "{} square cm", "{} cm squared", "{}\\text{{ cm}}^2"),
    "m": ("{} m", "{}\\text{{ m}}"),
    "km": ("{} km", "{}\\text{{ km}}"),
    "km/h": ("{} km/h", "{} km per hour"),
    "apple": ("{} apples",),
    "parsec": ("{} parsecs",),
}
FORMS = ("{}", "#### {}", "\\boxed{{{}}}", "The answer is {}.", "so it is {}", "it is {} in all.")
Answer = tuple[Fraction, str, str]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw a value, a unit, and one way to write them."""
    value, unit = draw(st.sampled_from([*VALUES])), draw(st.sampled_from([*UNITS]))
    return value, unit, written(value, unit, draw(st.integers(0, 99)), draw(st.integers(0, 99)))


def written(value: Fraction, unit: str, i: int = 0, j: int = 0) -> str:
    return UNITS[unit][i % len(UNITS[unit])].format(VALUES[value][j % len(VALUES[value])])


def of(text: str) -> Answer:
    """Return an answer that is an example by its text."""
    found = [
        (value, unit, text)
        for value, ways in VALUES.items()
        for unit, shapes in UNITS.items()
        if any(shape.format(way) == text for shape in shapes for way in ways)
    ]
    return found[0]


@given(answers(), answers(), st.sampled_from(FORMS))
@example(of("5°"), of("5 cm"), "{}")
@example(of("€5"), of("$5"), "so it is {}")
@example(of("5 miles".replace("miles", "parsecs")), of("5 km"), "so it is {}")
@example(of("5 million"), of("5"), "it is {} in all.")
@example(of("2 and a half"), of("2"), "so it is {}")
@example(of("5\\times 10^3"), of("50"), "so it is {}")
def test_they_never_pass(one: Answer, other: Answer, form: str) -> None:
    (value, unit, output), (right, wanted, reference) = one, other
    if value == right and (unit == wanted or not unit or not wanted):
        return  # the same, or a unit is left out
    gold = gold_of(reference)
    answer = extract(form.format(output), gold)
    assert answer is None or compare(gold, answer).same is not True, (answer, gold)


@given(st.sampled_from([*VALUES]), st.sampled_from(FORMS), st.data())
def test_the_same_way_to_write_an_answer_passes(
    value: Fraction, form: str, data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from([*UNITS]))
    text = written(value, unit, data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99)))
    answer = extract(form.format(text), text)
    assert answer is not None
    assert compare(text, answer).same is not False, answer
