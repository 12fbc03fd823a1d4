"""Programs in other languages: judged by what they print, compiled and run inside alone."""

from dataclasses import replace

import pytest

from gristmill.engines.sandbox import Program, Sandbox, languages
from gristmill.engines.sandbox.builds import Builds
from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.languages import LANGUAGES
from gristmill.engines.sandbox.profiles import BARE, find_profile
from gristmill.engines.sandbox.watch import Limits, Outcome
from gristmill.errors import InputError, RequirementError

DOUBLE = {
    "cpp": '#include <cstdio>\nint main() { int x; scanf("%d", &x); printf("%d\\n", 2 * x); }',
    "javascript": "console.log(2 * Number(require('fs').readFileSync(0, 'utf8')))",
    "bash": "read x\necho $((2 * x))",
    "sql": "SELECT 2 * x FROM given;",
    "verilog": 'module m; integer x, n; initial begin n = $fscanf(\'h8000_0000, "%d", x); '
    '$display("%0d", 2 * x); $finish(0); end endmodule',
}
GIVEN = {"sql": "CREATE TABLE given (x); INSERT INTO given VALUES (7);"}
SLEEPS = {
    "javascript": "for (;;);",
    "bash": "trap '' TERM; while :; do :; done",
    "sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n;",
    "verilog": "module m; initial forever; endmodule",
}
FAILS = {
    "cpp": ("int main() { return 3; }", "bad end, exit code 3"),
    "javascript": ("throw Error('no')", "bad end, exit code 1"),
    "bash": ("exit 4", "bad end, exit code 4"),
    "sql": ("SELECT * FROM nothing;", "bad end, exit code 1"),
    "verilog": ("module m; initial $fatal(0); endmodule", "bad end, exit code 1"),
}


def needs(*names: str) -> list[pytest.ParameterSet]:
    """Return parameters that are skipped where their tool is not installed."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                bool(find_profile(name).missing), reason=f"{name}: {find_profile(name).fix}"
            ),
        )
        for name in names
    ]


def program(name: str, code: str, stdout: str = "14", **limits: float) -> Program:
    stdin = GIVEN.get(name, "7\n")
    limits = {"timeout_s": 30, **limits}
    return Program(code, stdin=stdin, stdout=stdout, profile=name, **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", needs(*LANGUAGES))
def test_a_program_is_judged_by_what_it_prints(sandbox: Sandbox, name: str) -> None:
    right, wrong, failing = sandbox.run_all(
        [
            program(name, DOUBLE[name]),
            program(name, DOUBLE[name], "15"),
            program(name, FAILS[name][0], "15"),
        ]
    )
    assert (right.status, right.verified_by) == ("pass", "stdio"), right
    assert right.profile.endswith(f"{name}({find_profile(name).packages[0]})"), right.profile
    assert (wrong.status, wrong.detail) == ("fail", "line 1: expected '15', found '14'")
    assert (failing.status, failing.detail) == ("error", FAILS[name][1])


@pytest.mark.parametrize("name", needs(*SLEEPS))
def test_a_program_that_never_ends_is_killed(sandbox: Sandbox, name: str) -> None:
    (verdict,) = sandbox.run_all([program(name, SLEEPS[name], timeout_s=1)])
    assert verdict.status == "timeout", verdict


@pytest.mark.parametrize("name", needs("cpp"))
def test_the_compiler_s_words_are_the_detail_of_an_error(sandbox: Sandbox, name: str) -> None:
    told, silent = sandbox.run_all(
        [program(name, "int main() { retrun 0; }"), program(name, '#include "/dev/zero"')]
    )
    assert told.status == "error"
    assert told.detail.startswith("CompileError in the code: code.cpp: In function"), told.detail
    assert "retrun" in told.detail
    assert silent.status in ("error", "oom", "timeout"), silent


@pytest.mark.parametrize("name", needs("cpp"))
def test_a_program_is_compiled_once_for_all_its_inputs(chosen: Sandbox, name: str) -> None:
    chosen.run_all([])
    state, builds, were_builds = chosen._state, Builds(), []
    assert state

    def execute(job: bytes, stdin: bytes, limits: Limits) -> Outcome:
        were_builds.append(b"\nbuild(" in job)
        return state.execute(job, stdin, limits, lane=state.lane(BARE), stop=state.stopping)

    def statuses(code: str, *inputs: int) -> list[str]:
        asked = [replace(program(name, code), stdin=f"{i}\n", stdout=f"{2 * i}") for i in inputs]
        return [judge(one, execute, find_profile(name), builds).status for one in asked]

    assert statuses(DOUBLE[name], 1, 2, 3) == ["pass"] * 3
    assert were_builds == [True, False, False, False]
    were_builds.clear()
    assert statuses("int main() { retrun 0; }", 1, 2) == ["error"] * 2
    assert were_builds == [True, True]


PROBE = """
echo $(id -u) $(ls /var /run /sys 2>/dev/null | wc -l) $(ls /proc/self/fd | wc -l)
touch /usr/x 2>/dev/null || echo read-only
(exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null || echo no network
mount -t tmpfs x /tmp 2>/dev/null || echo no mount
env | cut -d= -f1 | sort | tr '\\n' ' '
"""
SEEN = """65534 0 4
read-only
no network
no mount
HOME LANG LOGNAME MKL_NUM_THREADS OLDPWD OMP_NUM_THREADS OPENBLAS_NUM_THREADS PATH PWD \
PYTHONDONTWRITEBYTECODE PYTHONHASHSEED SHLVL TZ USER _"""


@pytest.mark.parametrize("name", needs("bash"))
def test_another_language_is_under_the_same_isolation(sandbox: Sandbox, name: str) -> None:
    (verdict,) = sandbox.run_all([program(name, PROBE, "")])
    lines = verdict.stdout.replace(" OLDPWD", "").rstrip()
    assert lines == SEEN.replace(" OLDPWD", ""), verdict


@pytest.mark.parametrize("name", needs("bash"))
def test_its_limits_hold_and_nothing_of_it_stays(sandbox: Sandbox, name: str) -> None:
    flood, memory, left, forged = sandbox.run_all(
        [
            program(name, "yes"),
            program(name, "a=x; while :; do a=$a$a; done", memory_mb=128),
            program(name, "setsid sleep 100 & read x; echo $((2 * x)) | tee /tmp/mine"),
            program(name, "echo 14 >&3 || ls /tmp"),
        ]
    )
    assert flood.status == "output_limit", flood
    assert memory.status in ("oom", "error"), memory
    assert left.status == "pass", left
    assert (forged.status, forged.stdout) == ("fail", ""), "no descriptor of results, no file"


LEAVES = """module m; integer a, b; initial begin
a = $fopen("/etc/shadow", "r"); b = $fopen("/usr/x", "w");
$display("%0d %0d", a, b); $finish(0); end endmodule"""
HUNGRY = """module m; reg [63:0] all [0:(1 << 27) - 1]; integer i; initial begin
for (i = 0; i < (1 << 27); i = i + 1) all[i] = i; $finish(0); end endmodule"""
BOMB = """`define A(x) x x x x x x x x
`define B `A(`A(`A(`A(`A(`A(`A(`A(`A(y)))))))))
module m; initial begin `B end endmodule"""


@pytest.mark.parametrize("name", needs("verilog"))
def test_verilog_is_compiled_and_run_under_the_same_limits(sandbox: Sandbox, name: str) -> None:
    leaves, reads, calls, hungry, floods, bomb, cut = sandbox.run_all(
        [
            program(name, LEAVES),
            program(name, '`include "/etc/shadow"\nmodule m; endmodule'),
            program(name, 'module m; initial begin $system("id"); $finish(0); end endmodule'),
            program(name, HUNGRY, memory_mb=256),
            program(name, 'module m; initial forever $display("more"); endmodule'),
            program(name, BOMB, timeout_s=2, memory_mb=256),
            program(name, "module m; initial begin"),
        ]
    )
    assert (leaves.status, leaves.stdout) == ("fail", "0 0\n"), "no file of the machine was opened"
    assert "Include file /etc/shadow not found" in reads.detail, reads
    assert (reads.status, calls.status, hungry.status) == ("error", "error", "oom"), hungry
    assert (floods.status, bomb.status) == ("output_limit", "timeout"), (floods, bomb)
    assert cut.detail.startswith("CompileError in the code: code.v:1: syntax error"), cut


@pytest.mark.parametrize("name", needs("javascript"))
def test_node_may_reserve_more_addresses_than_memory(sandbox: Sandbox, name: str) -> None:
    wasm = "new WebAssembly.Memory({initial: 1}); console.log(14)"
    hungry = "const all = []; for (;;) all.push(new Array(1e6).fill(7))"
    light, heavy = sandbox.run_all(
        [program(name, wasm, memory_mb=256), program(name, hungry, memory_mb=256)]
    )
    assert light.status == "pass", light
    assert heavy.status == "oom", heavy


def test_python_s_tests_cannot_judge_another_language() -> None:
    with pytest.raises(InputError, match="a program in cpp is judged by its stdout alone"):
        Program("int main() {}", "assert True", profile="cpp")
    with pytest.raises(InputError, match="judged by its stdout alone"):
        Program("int main() {}", stdout="1", mutants=1, profile="cpp")


def test_a_tool_that_is_missing_is_named_with_its_package(sandbox: Sandbox, monkeypatch) -> None:
    monkeypatch.setattr(languages, "SEARCHED", "/nowhere")
    for cached in (languages.version, find_profile):
        cached.cache_clear()
    try:
        (verdict,) = sandbox.run_all([program("javascript", "1")])
        with pytest.raises(RequirementError, match="javascript needs node here: apt-get install"):
            sandbox.require("javascript")
    finally:
        for cached in (languages.version, find_profile):
            cached.cache_clear()
    assert verdict.status == "missing_dependency"
    assert "node: not installed, so no profile javascript; apt-get install nodejs" in verdict.detail


def test_the_version_of_the_tool_is_part_of_the_key(monkeypatch) -> None:
    before = Program("1", stdout="1", profile="bash").key("e")
    monkeypatch.setattr("gristmill.engines.sandbox.profiles.version", lambda _: "bash 99.0")
    find_profile.cache_clear()
    try:
        assert Program("1", stdout="1", profile="bash").key("e") != before
    finally:
        find_profile.cache_clear()
