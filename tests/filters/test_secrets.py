from gristmill.filters.secrets import Secrets
from gristmill.pipelines import Drop

KEY = "AKIA" + "Q7RT2LMPZX5NVBC9"
ROW = {"instruction": "Connect.", "output": f"key = {KEY}"}


def test_a_row_leaves_without_showing_the_secret() -> None:
    assert Secrets()(ROW) == Drop("secret", "aws_key at output 6-26")
    assert Secrets()({"instruction": "Connect.", "output": "Use your own key."}) == {}


def test_a_secret_is_masked_or_flagged_on_request() -> None:
    out = Secrets(action="mask")(ROW)
    assert (out["output"], out["flags"], out["found"]) == (
        "key = [AWS_KEY]",
        ["secret"],
        "aws_key 1",
    )
    assert Secrets(action="flag")(ROW) == {"flags": ["secret"], "found": "aws_key 1"}
