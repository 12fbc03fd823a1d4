import pytest

from gristmill.text.fidelity import lost


@pytest.mark.parametrize(
    ("source", "rewrite", "gone"),
    [
        ("Add 3 and 4.", "Z\u00e4hle 4 und 3 zusammen.", []),
        ("Add 3 and 4, then 3.", "Add them.", ["3", "4"]),
        ("It costs 1,250.50.", "Es kostet 1250.50.", []),
        ("See https://a.org/x.", "Siehe https://a.org/x!", []),
        ("See https://a.org/x.", "Siehe https://a.org/y", ["https://a.org/x"]),
        ("Call `f(x)`.", "Rufe f(x) auf.", ["`f(x)`"]),
        ("GPT4 and B2B", "none", []),
        ("", "", []),
    ],
)
def test_numbers_addresses_and_code_must_be_kept(source, rewrite, gone) -> None:
    assert lost(source, rewrite) == gone
