"""Tools of a user's own server: listed, called once, stored, and told outside the sandbox."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gristmill.cli import main
from gristmill.engines.calling import Called, CallTool
from gristmill.engines.client import Client
from gristmill.engines.mcp import Mcp
from gristmill.engines.mcp_session import Server
from gristmill.errors import EngineError, InputError, RecipeError, RequirementError
from gristmill.generators.llm_compiler import LlmCompiler
from gristmill.generators.tool_llm_search import ToolLlmSearch
from gristmill.pipelines import Drop, Recipe, run
from gristmill.pipelines.runners import RayRunner
from gristmill.publishing import card, report
from gristmill.storage.answers import Answers
from gristmill.verifiers.tool_calls import ToolCalls

pytestmark = pytest.mark.slow
SERVER = Path(__file__).parent / "mcp_server.py"
KEY = "hunter2-hunter2"
FIND, BOOK = "find_pool_for_town", "book_for_town"


@pytest.fixture(autouse=True)
def _key(monkeypatch) -> None:
    monkeypatch.setenv("TOWN_KEY", KEY)


def command(mode: str = "", log: Path | str = "") -> tuple[str, ...]:
    return sys.executable, str(SERVER), mode, *([str(log)] if log else [])


@pytest.fixture(scope="session")
def listing(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "town.json"
    argv = ["tools", "--json", str(path), *command()]
    assert main(argv) == 0
    return path


@pytest.fixture
def town(listing):
    def make(mode: str = "", log: Path | str = "", **more) -> Mcp:
        more = {"listing": listing, "env": ("TOWN_KEY",), "timeout_s": 20.0, **more}
        return Mcp(command=command(mode, log), **more)

    return make


def called(engine: Mcp, *calls: tuple[str, dict]) -> list[Called]:
    """Make calls one after the other, each behind those before it."""
    way = [(name, json.dumps(arguments)) for name, arguments in calls]

    async def go() -> list[Called]:
        try:
            return [await engine.call(CallTool(tuple(way[: i + 1]))) for i in range(len(way))]
        finally:
            await engine.stop()

    return asyncio.run(go())


def test_a_listing_is_seeds_like_any_description_of_an_api(listing) -> None:
    from gristmill.formats.readers import SeedSpec, read

    (row,) = read(SeedSpec(use="openapi", path=str(listing))).rows
    find, book = json.loads(row["api"])["endpoints"]
    assert (row["tool"], find["name"], find["path"]) == ("Town", FIND, "find_pool")
    assert find["parameters"]["required"] == ["district"]
    assert find["parameters"]["properties"]["limit"]["type"] == "integer"
    assert (book["name"], book["method"]) == (BOOK, "mcp")


def test_what_tools_say_is_json_and_errors_are_theirs(town) -> None:
    found, booked, refused, wrong = called(
        town(),
        ("find_pool", {"district": "East"}),
        ("book", {"pool": 1}),
        ("book", {"pool": -1}),
        ("fly", {}),
    )
    assert found.body == {"result": [{"id": 0, "name": "East 0"}, {"id": 1, "name": "East 1"}]}
    assert (booked.code, booked.body) == (0, {"result": "booked 1"})
    assert (refused.code, refused.durable) == (11, True)
    assert "no pool -1" in refused.body["error"]
    assert wrong.code == 11


def test_what_comes_too_late_or_breaks_is_no_answer(town) -> None:
    late, fine = called(town(timeout_s=2.0), ("book", {"pool": 7}), ("book", {"pool": 1}))
    assert (late.code, late.durable) == (5, False)
    assert late.body["error"] == "no answer in 2 s"
    assert fine.code == 0
    gone, again, noisy = called(
        town(),
        ("find_pool", {"district": "gone"}),
        ("book", {"pool": 1}),
        ("find_pool", {"district": "noise"}),
    )
    assert (gone.code, gone.durable) == (12, False)
    assert (again.code, noisy.code) == (0, 0), "started anew; lines that are no message are skipped"


def test_a_server_that_does_not_start_is_told_in_one_message(town) -> None:
    with pytest.raises(EngineError, match=r"does not answer: .*it last said: cannot open") as told:
        called(town("broken"), ("book", {"pool": 1}))
    assert KEY not in str(told.value)
    with pytest.raises(EngineError, match="nothing in 1 s"):
        called(town("mute", start_s=1.0), ("book", {"pool": 1}))
    with pytest.raises(RequirementError, match=r"it is Town 2; list it again"):
        called(town("newer"), ("book", {"pool": 1}))


def test_secrets_are_names_and_what_repeats_them_is_masked(town, listing, monkeypatch) -> None:
    engine = town()
    (found,) = called(engine, ("find_pool", {"district": "secret"}))
    assert found.body == {"result": [{"name": "[secret]"}]}
    assert KEY not in f"{engine.identity} {engine.origin()} {engine.model_dump_json()}"
    key = "ghp_" + "a1B2" * 9
    with pytest.raises(ValueError, match="holds a secret") as told:
        Mcp(command=("server", f"--key={key}"), listing=listing)
    assert key not in str(told.value)
    monkeypatch.delenv("TOWN_KEY")
    with pytest.raises(RequirementError, match="TOWN_KEY"):
        engine.check()


@pytest.mark.parametrize(
    "params",
    [{}, {"command": ["a"], "url": "http://h"}, {"url": "ftp://h"}, {"url": "http://u:p@h/"},
     {"command": ["a"], "env": ["A=1"]}],
)  # fmt: skip
def test_there_is_one_way_to_reach_it(params) -> None:
    with pytest.raises(ValueError, match="expected"):
        Server(**params)


def test_a_listing_that_is_none_is_refused(town, tmp_path) -> None:
    (tmp_path / "x.json").write_text('{"info": {"title": "x", "version": "1"}, "tools": []}')
    with pytest.raises(InputError, match="lists no tools"):
        assert town(listing=tmp_path / "x.json").identity


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    """Serve the town by HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [*command("http", tmp_path / "log"), str(port)]
    with subprocess.Popen(argv) as served:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
        served.terminate()


def test_a_server_is_reached_by_http_with_a_token_and_not_without(
    address, listing, tmp_path
) -> None:
    engine = Mcp(url=address, listing=listing, token_env="TOWN_KEY")
    booked, refused = called(engine, ("book", {"pool": 3}), ("book", {"pool": -3}))
    assert (booked.code, booked.body) == (0, {"result": "booked 3"})
    assert (refused.code, refused.body["error"].rpartition(": ")[2]) == (11, "no pool -3")
    assert (tmp_path / "log").read_text() == "book 3\nbook -3\n"
    with pytest.raises(EngineError, match="does not answer") as told:
        called(Mcp(url=address, listing=listing), ("book", {"pool": 3}))
    assert "401" in str(told.value)
    with pytest.raises(EngineError, match="does not answer"):
        called(Mcp(url="http://127.0.0.1:9/mcp", listing=listing), ("book", {"pool": 3}))


def test_a_failure_of_the_machine_is_no_answer_of_a_tool(address, listing, tmp_path) -> None:
    engine = Mcp(url=address, listing=listing, token_env="TOWN_KEY")

    async def go() -> list[Called]:
        made = [await engine.call(CallTool((("book", '{"pool": 3}'),)))]
        (tmp_path / "down").touch()
        made.append(await engine.call(CallTool((("book", '{"pool": 4}'),))))
        (tmp_path / "down").unlink()
        made.append(await engine.call(CallTool((("book", '{"pool": 5}'),))))
        await engine.stop()
        return made

    fine, down, again = asyncio.run(go())
    assert (fine.code, down.code, again.code) == (0, 12, 0)
    assert not down.durable


# --- in stages
def row(listing: Path) -> dict:
    from gristmill.formats.readers import SeedSpec, read

    (seed,) = read(SeedSpec(use="openapi", path=str(listing))).rows
    return {"instruction": "Book {a} lane in the East.", "meta.tool_llm.api": seed["api"]}


def step(name: str, **arguments) -> str:
    return json.dumps({"thought": "", "name": name, "arguments": arguments})


def booker(prompt: str, draw: int) -> str:
    if '"East 0"' not in prompt and "booked" not in prompt:
        return step(FIND, district="East")
    if "booked" not in prompt:
        return step(BOOK, pool=0)
    return step("Finish", return_type="give_answer", final_answer="Booked pool 0.")


def test_a_search_is_answered_by_the_server_and_its_calls_are_made_once(
    ask, engine, town, listing, tmp_path
) -> None:
    log, seed = tmp_path / "log", row(listing)
    answers = Answers(tmp_path / "answers")
    roles = {"tools": town(log=log), "generator": engine(answer=booker)}
    (made,) = _asked(ToolLlmSearch(by="server"), seed, roles, answers)
    assert made["output"] == "Booked pool 0."
    assert json.loads(made["messages"][1]["extra"])["tool_calls"][0]["function"]["name"] == FIND
    assert '"East 0"' in made["messages"][2]["content"]
    done = ["find_pool East", "book 0"]
    assert log.read_text().split("\n")[:-1] == done
    (again,) = _asked(ToolLlmSearch(by="server"), seed, roles, answers)
    found = _asked(ToolCalls(by="server"), {**seed, **made}, roles, answers)
    assert again == made
    assert (found["status"], found["n"]) == ("pass", 2)
    made["messages"][2]["content"] = "{}"
    assert _asked(ToolCalls(by="server"), {**seed, **made}, roles, answers)["status"] == (
        "other_answer"
    )
    assert log.read_text().split("\n")[:-1] == done, "nothing was called again"
    answers.close()


def _asked(stage, seed, roles, answers):
    from gristmill.pipelines import Context

    async def go():
        clients = {role: Client(roles[role], answers) for role in stage.needs()}
        try:
            return await stage(seed, Context(clients, 0, "label", "id"))
        finally:
            for client in clients.values():
                await client.stop()

    return asyncio.run(go())


def test_a_row_whose_call_gets_no_answer_is_rejected(ask, engine, town, listing) -> None:
    seed = row(listing)
    model = engine(answer=lambda prompt, draw: step(BOOK, pool=7))
    (drop,) = ask(
        ToolLlmSearch(by="server"), seed, {"tools": town(timeout_s=2.0), "generator": model}
    )
    assert (drop.code, drop.detail) == ("tool_timeout", f"{BOOK}: no answer in 2 s")
    plan = engine(answer=lambda prompt, draw: f'1. {FIND}({{"district": "gone"}})\n2. join()')
    drop = ask(LlmCompiler(by="server"), seed, {"tools": town(), "generator": plan})
    assert isinstance(drop, Drop)
    assert drop.code == "tool_garbage"
    assert {"tool_timeout", "tool_garbage"} <= LlmCompiler.codes & ToolLlmSearch.codes


def test_what_does_not_fit_never_leaves(engine, town, listing, tmp_path, ask) -> None:
    calls = iter([step("fly_for_town"), step(BOOK, pool="7")])
    model = engine(answer=lambda prompt, draw: next(calls))
    roles = {"tools": town(log=tmp_path / "log"), "generator": model}
    (drop,) = ask(ToolLlmSearch(by="server"), row(listing), roles)
    assert drop.code == "no_answer"
    tried = json.loads(drop.detail.partition(": ")[2])["children"]
    assert [one["code"] for one in tried] == [1, 2]
    assert not (tmp_path / "log").exists()


def recipe(listing: Path, log: Path) -> Recipe:
    return Recipe(
        name="town",
        seeds={"use": "openapi", "path": str(listing)},
        engines={
            "generator": {
                "use": "scripted",
                "rules": [
                    ["(?s)### Number", json.dumps({"requests": [
                        {"request": "Book a lane in the East.", "functions": [FIND]}]})],
                    ["booked 0", step("Finish", return_type="give_answer", final_answer="Done.")],
                    ["East 0", step(BOOK, pool=0)],
                    ["(?s).*", step(FIND, district="East")],
                ],
            },
            "tools": {
                "use": "mcp", "listing": str(listing), "command": list(command(log=log)),
                "env": ["TOWN_KEY"],
            },
        },
        stages=[
            {"use": "generators.tool_llm"},
            {"use": "generators.tool_llm_search", "by": "server"},
            {"use": "verifiers.tool_calls", "by": "server"},
        ],
    )  # fmt: skip


def test_a_run_is_off_unless_allowed_and_says_who_answered(listing, tmp_path) -> None:
    told = recipe(listing, tmp_path / "log")
    with pytest.raises(RecipeError, match=r"answers outside the sandbox.*--allow-plugins"):
        run(told, workspace=tmp_path)
    result = run(told, workspace=tmp_path, allow_plugins=True)
    (made,) = result.dataset.to_pylist()
    assert made["output"] == "Done."
    assert made["verdicts"]["tool_calls"]["status"] == "pass"
    calls = (tmp_path / "log").read_text()
    text = card.write(result.path).read_text()
    assert "Tools answered outside the sandbox by `Town (1.4)`." in text
    assert "--allow-plugins" in text
    page = report.write(result.path).read_text()
    assert "Tools answered outside the sandbox by Town (1.4)." in page
    for path in result.path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert str(SERVER) not in (result.path / "dataset" / "recipe.yaml").read_text()
    run(told, workspace=tmp_path, allow_plugins=True, folder=tmp_path / "again")
    assert (tmp_path / "log").read_text() == calls, "a replay calls nobody"


def test_on_ray_the_server_answers_as_it_does_here(listing, tmp_path) -> None:
    told, log = recipe(listing, tmp_path / "log"), tmp_path / "log"
    here = run(told, workspace=tmp_path / "here", allow_plugins=True)
    calls = log.read_text()
    runner = RayRunner(1, rows_per_shard=1)
    there = run(told, None, {}, runner, tmp_path / "there", allow_plugins=True)
    assert log.read_text() == calls * 2, "once for each workspace"
    assert there.dataset.to_pylist() == here.dataset.to_pylist()
    assert there.dataset.num_rows == 1
