"""`build-dataset doctor`: what it looks at, and that it tells no secret."""

import json
import re

from gristmill.commands.doctor import TOKENS, gpu, machine_lines, token_file

SECRET = "hf_never_to_be_seen"


def test_doctor_probes_every_back_end_and_names_what_is_missing(call, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    code, out, err = call("doctor", "--json")
    told = json.loads(out)
    parts = {line["part"] for line in told["lines"]}
    assert {"sandbox: zygote", "sandbox: bubblewrap", "sandbox: degraded"} <= parts
    assert {"machine", "package", "Hub", "telemetry"} <= parts
    profiles = {line["name"] for line in told["lines"] if line["part"] == "programs"}
    languages = {"cpp", "javascript", "bash", "sql", "verilog"}
    assert {"bare", "numpy", "solver", "sympy", "mypy", *languages} == profiles
    assert SECRET not in out + err
    assert code == (0 if told["backend"] else 2)
    assert bool(told["backend"]) != bool(told["refusal"])
    for line in told["lines"]:
        # The memory probe says how the memory ran out; only what fails must say what to do.
        assert line["state"] == "ok" or line["note"], line
    zygote = [line for line in told["lines"] if line["part"] == "sandbox: zygote"]
    assert len(zygote) in (1, 14)
    (group,) = [line for line in told["lines"] if line["name"] == "control group"]
    assert group["state"] == ("ok" if group["note"].startswith("version ") else "weaker")


def test_what_is_missing_is_named_below_the_table(call, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    _, out, _ = call("doctor")
    (last,) = [line for line in out.splitlines() if line.startswith("missing here: ")]
    assert "Hub token" in last
    assert "package Ray" not in last
    assert re.search(r"^package +Ray +ok +\d+\.\d+\S*: several engines", out, re.MULTILINE)


def test_a_token_is_found_but_never_shown(tmp_path) -> None:
    def hub(environment) -> list[tuple[str, str]]:
        lines = machine_lines({"HF_HOME": str(tmp_path), **environment})
        return [(line.state, line.note) for line in lines if line.part == "Hub"]

    (without,) = hub({})
    assert without[0] == "missing"
    assert "HF_TOKEN" in without[1]
    assert hub({"HF_TOKEN": SECRET}) == [("ok", "present")]
    token_file({"HF_HOME": str(tmp_path)}).write_text(SECRET)
    assert hub({}) == [("ok", "present")]


def test_telemetry_that_is_on_is_told_with_its_switch() -> None:
    lines = {line.name: line for line in machine_lines({"DO_NOT_TRACK": "1"})}
    assert lines["DO_NOT_TRACK"].state == "ok"
    assert lines["VLLM_NO_USAGE_STATS"].note == "set it to 1"


def test_without_a_driver_there_is_no_gpu() -> None:
    assert gpu(lambda _: None).state == "missing"
    assert gpu(lambda _: "/nowhere/nvidia-smi").note.startswith("nvidia-smi does not answer")
