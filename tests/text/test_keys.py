"""Keys are put together here, so that nobody's scanner takes this file for a leak."""

import pytest

from gristmill.text.keys import KEYS, keys

LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA"
CASES = {
    "aws_key": "AKIA" + "Q7RT2LMPZX5NVBC9",
    "github_token": "ghp_" + LETTERS + "bCdE",
    "gitlab_token": "glpat-" + LETTERS[:20],
    "slack_token": "xoxb-" + LETTERS[:24],
    "google_key": "AIza" + LETTERS + "bCd",
    "stripe_key": "sk_live_" + LETTERS[:24],
    "openai_key": "sk-proj-" + LETTERS,
    "hugging_face_token": "hf_" + LETTERS,
    "npm_token": "npm_" + LETTERS + "bCdE",
    "pypi_token": "pypi-" + LETTERS + LETTERS,
    "sendgrid_key": "SG." + LETTERS[:22] + "." + (LETTERS + LETTERS)[:43],
    "twilio_key": "SK" + "9f3c1e7a0b5d2846" * 2,
    "mailchimp_key": "9f3c1e7a0b5d2846" * 2 + "-us12",
    "telegram_token": "110201543:AA" + LETTERS + "b",
    "json_web_token": "eyJ" + LETTERS[:12] + ".eyJ" + LETTERS[:12] + "." + LETTERS,
}


@pytest.mark.parametrize("kind", CASES)
def test_a_key_is_found_by_its_form(kind) -> None:
    text = f"Use {CASES[kind]} here."
    assert [(s.kind, text[s.start : s.end]) for s in keys(text)] == [(kind, CASES[kind])]


@pytest.mark.parametrize("start", ["gho_", "ghu_", "ghs_", "ghr_"])
def test_every_kind_of_github_token_is_one(start) -> None:
    assert [span.kind for span in keys(start + CASES["github_token"][4:])] == ["github_token"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ASIA" + CASES["aws_key"][4:], "aws_key"),
        ("rk_live_" + CASES["stripe_key"][8:], "stripe_key"),
        ("github_pat_" + LETTERS * 2, "github_token"),
        ("sk-" + LETTERS, "openai_key"),
    ],
)
def test_other_beginnings_of_the_same_maker(text, kind) -> None:
    assert [span.kind for span in keys(text)] == [kind]


def test_a_private_key_is_found_to_its_end_or_cut_off() -> None:
    head, end = "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----"
    text = f"x {head}\nMIIE\n{end} y"
    (span,) = keys(text)
    assert text[span.start : span.end] == text[2:-2]
    assert [s.kind for s in keys(head + "\nMIIE")] == ["private_key"]


def test_the_key_of_an_account_at_azure_is_found_without_its_name() -> None:
    key = LETTERS * 2 + LETTERS[:22] + "=="
    text = f"AccountName=a;AccountKey={key};"
    assert [(s.kind, text[s.start : s.end]) for s in keys(text)] == [("azure_key", key)]


def test_a_password_in_an_address_is_found_without_the_address() -> None:
    text = "postgres://bob:s3cr3t@db.corp.io/rows"
    assert [text[s.start : s.end] for s in keys(text)] == ["bob:s3cr3t"]


@pytest.mark.parametrize("name", ["password", "API_KEY", "'token'", "client_secret"])
def test_a_random_value_is_a_secret_where_it_is_assigned(name) -> None:
    text = f'{name} = "{LETTERS[:20]}"'
    assert [text[s.start : s.end] for s in keys(text)] == [LETTERS[:20]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"AWS_SECRET_ACCESS_KEY={LETTERS}bC/+dE7f", f"{LETTERS}bC/+dE7f"),
        (f"a=1\n  export TOKEN={LETTERS[:20]}  # of the shop\nb=2", LETTERS[:20]),
        (f"aws_secret_access_key = {LETTERS}\r\n", LETTERS),
        (f"db:\n  api-key: {LETTERS[:16]}\n", LETTERS[:16]),
        (f"SECRET_KEY_BASE={LETTERS}", LETTERS),
        ("db:\n  user: bob\n  password: s3cr3t-hat\n", "s3cr3t-hat"),
        ("DB_PASSWORD=tr0ub4dor", "tr0ub4dor"),
    ],
)
def test_a_value_without_quotes_is_a_secret_on_a_line_of_settings(text, value) -> None:
    assert [(s.kind, text[s.start : s.end]) for s in keys(text)] == [("assigned", value)]
    assert KEYS.may_be_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "Password: \u5fc5\u987b\u5305\u542b8\u4e2a\u5b57\u7b26\u4ee5\u4e0a",
        "password: \u30d1\u30b9\u30ef\u30fc\u30c9\u306f8\u6587\u5b57\u4ee5\u4e0a",
        "Password: Argon2id",
        "Password: SHA256withRSA",
        "hashed_password: pbkdf2_sha256",
        "password: Base64-encoded",
        "password: utf8mb4_bin",
        "password: 10characters",
        "Password: minimum8characters",
        "Password: 8-character",
        "connect(\n user=user1,\n password=password1\n)",
        "connect(\n    password=other_1,\n    token=t1)",
        "connect(\n    password=secret1_of_user\n)",
        "password=form1.password",
        "token=req2.headers.authorization1",
        "token: Qwen2.5-7B-Instruct-1M",
        "token: meta-llama-3.1-8B-Instruct",
    ],
)
def test_prose_and_code_on_such_a_line_are_no_secrets(text) -> None:
    assert list(keys(text)) == []


@pytest.mark.parametrize(
    "value",
    ["Md5isbroken!", "sha256-lover-Z", "hunter2characters!", "p\u00e4ss-w0rd", "Sommer24.regen"],
)
def test_a_password_with_the_words_of_prose_is_one(value) -> None:
    text = f"db:\n  user: bob,\n  password: {value}\n"
    assert [text[s.start : s.end] for s in keys(text)] == [value]


def test_a_known_form_in_settings_is_told_once() -> None:
    text = f"GITHUB_TOKEN={CASES['github_token']}\nDB_PASSWORD=postgres://a:s3cr3t@db.corp.io/rows"
    assert [s.kind for s in keys(text)] == ["github_token", "url_password"]


@pytest.mark.parametrize(
    "line",
    [
        "token = generate_token_2(user)",
        "token = tokens_by_user_2024_v1",
        "password = input1password2",
        "secretName: shop-credentials-v2-2024",
        "SECRET_FILE=/run/secrets/Db1Pass2Word3",
        "password: at least 8 characters",
        "The password: hunter2 is weak.",
        "PASSWORD_MIN_LENGTH=12345678a",
        "password: ${DB_PASSWORD_2}",
        "TOKEN=abc",
        "api_key: YOUR_API_KEY_1234567",
        "max_tokens: 4096",
    ],
)
def test_code_names_paths_and_prose_are_no_settings(line) -> None:
    assert list(keys(line)) == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        'password = "correct horse battery"',
        'password = "correcthorsebatterystaple"',
        'token = "aaaaaaaaaaaaaaaa1111"',
        'api_key = "your-api-key-goes-here-42"',
        'token = "short1"',
        f'name = "{LETTERS}"',
        "https://user:pass@example.org",
        "mongodb://{user}:{password}@host",
        "The sk-learn library, hf_hub and npm_config_cache.",
        "",
    ],
)
def test_examples_and_words_are_left(text) -> None:
    assert list(keys(text)) == []
