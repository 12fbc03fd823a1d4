from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.personal import KINDS, PERSONAL, luhn, mod97, personal


def found(text: str, *kinds: str) -> list[tuple[str, str]]:
    return [(s.kind, text[s.start : s.end]) for s in personal(text, frozenset(kinds or KINDS))]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "bob.smith+news@mail.corp.io"),
        ("email", "m\u00fcller@firma.de"),
        ("ip", "8.8.8.8"),
        ("ip", "2001:4860:4860::8888"),
        ("card", "4111 1111 1111 1111"),
        ("card", "5500-0000-0000-0004"),
        ("card", "371449635398431"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB82WEST12345698765432"),
        ("iban", "BR1500000000000010932840814P2"),
        ("iban", "UA213223130000026007233566001"),
        ("iban", "LC55HEMM000100010012001200023015"),
        ("iban", "KZ86125KZT5004100100"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "+49 (30) 901820"),
        ("phone", "(212) 684-4700"),
        ("phone", "604-457-4895"),
        ("phone", "1-800-555-0199"),
        ("phone", "1 (800) 555-0199"),
        ("phone", "1.800.555.0199"),
        ("phone", "1 800 555 0199"),
        ("phone", "+1 (415) 555-0199"),
        ("phone", "0049 30 901820"),
        ("phone", "001 415 555 0199"),
        ("phone", "00 33 1 23 45 67 89"),
        ("phone", "(+49) 30 901820"),
        ("phone", "011 44 20 7946 0958"),
        ("phone", "+49 30/901820"),
        ("phone", "+49 (0) 30 - 901820"),
    ],
)
def test_it_is_found_as_a_whole_inside_a_sentence(kind, text) -> None:
    assert found(f"Write to {text}, please.") == [(kind, text)]
    assert found(text) == [(kind, text)]


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com, b@mail.example.org, c@x.invalid, user@localhost",
        "10.0.0.1 192.168.1.1 127.0.0.1 999.1.1.1 1.2.3 v1.2.3.4.5",
        "::1 fe80::1 12:30:45 std::vector a::b 00:1a:2b",
        "4111 1111 1111 1112",
        "9999 9999 9999 9995",
        "DE88 3704 0044 0532 0130 00",
        "ZZ89 3704 0044 0532 0130 00",
        "2024-11-21, 1234567890, 3.14159265358979, 100-200-300",
        "@decorator x@y = 1",
        "git@github.com:ann/rows.git git@gitlab.com ssh://git@host.io/rows",
        "scp rows.csv ann@host.io:/srv/rows ann@host.io:rows/ https://ann:pw@host.io/rows",
        "00 12 34 56 78 90 12, 0000123456, 00100001, 00111010, +5 +6 +7, 1 234 567 8901",
        "mobile 2019-2020, the phone numbers 1-9, phone: 1998, iPhone 12 2020 123",
        "",
    ],
)
def test_what_only_looks_like_it_is_left(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Tel. 020 7946 0958, please", "020 7946 0958"),
        ("phone number 555-1212.", "555-1212"),
        ("- **Phone:** 12345678\n", "12345678"),
        ('{"fax":"030/901820"}', "030/901820"),
        ("My mobile is (0171) 2345678.", "(0171) 2345678"),
        ('"phone_number": "5551234567"', "5551234567"),
        ("phone = '5551234567'", "5551234567"),
        ("home_phone: 030 901820", "030 901820"),
        ("Cellphone no. 0171 2345678", "0171 2345678"),
    ],
)
def test_after_a_word_for_it_a_number_of_any_form_is_a_phone(text, number) -> None:
    assert found(text) == [("phone", number)]
    assert PERSONAL.may_be_in(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"url":"https://foo.com","email":"ann.lee@gmail.com"}',
        "Ann,https://ann.com,ann.lee@gmail.com",
        "<a href='https://foo.com'>ann.lee@gmail.com</a>",
        "[site](https://foo.com)ann.lee@gmail.com",
        "https://shop.com?email=ann.lee@gmail.com",
        "mailto://ann.lee@gmail.com",
        "ann.lee@gmail.com:see/below",
        "Mail ann.lee@gmail.com: or/and call",
    ],
)
def test_mail_beside_the_address_of_a_page_is_no_login(text) -> None:
    assert found(text) == [("email", "ann.lee@gmail.com")]


@pytest.mark.parametrize(
    "text",
    [
        "https://ann.lee@gmail.com",
        "Mail [Ann](http://ann.lee@gmail.com/).",
        "See HTTPS://ann.lee@gmail.com.",
    ],
)
def test_a_name_alone_in_front_of_a_host_without_a_page_is_mail_made_a_link(text) -> None:
    assert found(text) == [("email", "ann.lee@gmail.com")]


@pytest.mark.parametrize("between", ["\uff0c\u90ae\u7bb1", "\u90ae\u7bb1"])
def test_mail_behind_a_page_is_found_in_text_without_spaces(between) -> None:
    ((kind, mail),) = found(f"\u7f51\u7ad9https://foo.com{between}ann.lee@gmail.com")
    assert kind == "email"
    assert mail.endswith("ann.lee@gmail.com")


@pytest.mark.parametrize(
    "text",
    [
        "git clone git+ssh://ann.lee@host.io/rows",
        "sftp://ann@host.io",
        "https://ann@host.io:8443",
        "https://ann@host.io/~ann/rows.git",
        "https://ann@host.io/?q=rows",
        "https://ann:pw@host.io",
        "postgresql+psycopg2://ann:pw%21x@db.host.io/rows",
        "git clone ann@host.io:team/rows.git.",
        "rsync ann@host.io:~/rows .",
    ],
)
def test_who_logs_in_on_a_machine_has_no_address_of_mail(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Convert the binary number 011 101 110 to octal.",
        "011-110-101",
        "Invoice 00234567",
        "Case no. 00412233",
        "Employee ID: 00456789",
        "MRN 00345678",
        "Account 0023456789",
        "UPC 0036000291452, 00 36000291452",
        "0023 0045 0067",
        "Invoice 0023-4567",
        "+3.14159265",
        "+12345678 bytes, +23456789 bytes, +234567890 users",
        "lat +40.712776",
    ],
)
def test_numbers_with_zeros_or_a_sign_in_front_are_no_phones(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "cell: 3.2345678 V",
        "Resistance per cell: 0.1234567",
        "- Mobile: 2023-10-12",
        "Mobile: 2023-10-12 14:30",
        "Phone: 24.12.2023",
        "Telephone: 1876-1922",
        "phone: 2007-2015",
        "The mobile is 20240501 build",
        "mobile is 1000000 users",
        "mobile is 1234567 users",
    ],
)
def test_dates_decimals_and_counts_behind_a_word_for_it_are_no_phones(text) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Call 004930901820.", "004930901820"),
        ("Dial us at 004930901820", "004930901820"),
        ("Phone: 004930901820", "004930901820"),
        ("Registrant Phone: +1.4155550199", "+1.4155550199"),
        ("tel: 555.1212", "555.1212"),
        ("Phone: 3125551234 people", "3125551234"),
    ],
)
def test_a_number_written_as_others_are_is_a_phone_where_it_is_called_one(text, number) -> None:
    assert found(text) == [("phone", number)]


def test_only_the_kinds_asked_for_are_found() -> None:
    assert found("bob@corp.io at 8.8.8.8", "ip") == [("ip", "8.8.8.8")]


def test_an_account_ends_where_its_country_says() -> None:
    text = "DE89 3704 0044 0532 0130 00 AND MORE"
    assert found(text) == [("iban", "DE89 3704 0044 0532 0130 00")]


@given(st.text(alphabet="0123456789", min_size=12, max_size=18), st.integers(1, 9), st.data())
def test_a_check_digit_finds_every_wrong_digit(digits, step, data) -> None:
    right = next(digits + str(d) for d in range(10) if luhn(digits + str(d)))
    i = data.draw(st.integers(0, len(right) - 1))
    wrong = right[:i] + str((int(right[i]) + step) % 10) + right[i + 1 :]
    assert not luhn(wrong)


def test_the_digits_of_an_account_are_checked() -> None:
    assert mod97("GB82 WEST 1234 5698 7654 32")
    assert not mod97("GB82 WEST 1234 5698 7654 23")


@given(st.text(max_size=80))
def test_spans_lie_in_the_text_and_do_not_overlap(text) -> None:
    spans = sorted((s.start, s.end) for s in personal(text, frozenset(KINDS)))
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
