"""Rows to review: found, shown whole, marked; served to this machine alone."""

import json
import re
from http.client import HTTPConnection
from threading import Thread
from urllib.parse import urlsplit

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gristmill import Recipe, run
from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.publishing import argilla, card
from gristmill.publishing.review import Query, Review
from gristmill.publishing.review_server import Server
from tests.formats.test_exports import LONG, TOOLED
from tests.publishing.conftest import unlinked


@pytest.fixture
def review(finished) -> Review:
    return Review(finished(60))


def all_of(review: Review, **query) -> list[dict]:
    first = review.page(Query(**query))
    pages = range(1, -(-first["n"] // first["size"]))
    rows = first["rows"] + [
        row for i in pages for row in review.page(Query(**query, page=i))["rows"]
    ]
    assert len(rows) == first["n"]
    return rows


def test_every_row_that_ended_is_on_one_page_and_counts_agree_with_the_ledger(review) -> None:
    rows, about = all_of(review), review.about()
    assert len({row["id"] for row in rows}) == len(rows) == about["total"]
    lost = {code: n for at in review.run.stages for code, n in at["codes"].items()}
    assert dict(about["codes"]) == lost
    assert dict(about["ends"]) == {"kept": len(review.run.kept), "rejected": sum(lost.values())}


def test_rows_are_found_by_ending_stage_code_text_and_score(review) -> None:
    for name, value in (("end", "kept"), ("code", "failed_tests"), ("stage", "pick")):
        found = all_of(review, **{name: value})
        assert found == [row for row in all_of(review) if row[name] == value] != []
    said = all_of(review, text="VARIANT 1 of 3")
    assert said
    assert all(re.search("variant 1 of 3", row["start"]) for row in said)
    scored = all_of(review, score="ifd.value", low=0.5, high=0.8)
    values = [row["score"] for row in scored]
    assert values == sorted(values)
    assert 0.5 <= values[0] < values[-1] <= 0.8
    assert len(values) < len(all_of(review, score="ifd.value")) < len(all_of(review))
    with pytest.raises(InputError, match=r"no score 'x'; found \['ifd.ppl', 'ifd.value'\]"):
        review.page(Query(score="x"))


def test_rows_are_found_by_the_tools_that_their_turns_call(tmp_path) -> None:
    recipe = Recipe(name="calls", stages=[{"use": "filters.length", "min_chars": 1}])
    rows = [{"messages": TOOLED}, {"messages": LONG}]
    review = Review(run(recipe, rows, workspace=tmp_path).path)
    for text, n in (('{\\"X\\": 1}', 1), ("be brief", 2), ('"name": "g"', 0), ("be brief", 2)):
        assert len(all_of(review, text=text)) == n, text


def test_what_nobody_should_see_is_neither_shown_nor_found_nor_kept(finished) -> None:
    path = finished(60)
    assert all_of(Review(path), text="return x", code="failed_tests")
    ledger, shard = path / "ledger.json", path / "shards" / "00-00" / "one.parquet"
    ledger.write_text(ledger.read_text().replace("failed_tests", "secret"))
    table = pq.read_table(shard)
    codes = pc.replace_substring(table["end_code"], "failed_tests", "secret")
    place = table.schema.get_field_index("end_code")
    pq.write_table(table.set_column(place, "end_code", codes), shard)
    review = Review(path)
    assert all_of(review, text="return x", code="secret") == []
    assert not any(row["end_code"] == "secret" for rows in review.batches() for row in rows)
    [row, *_] = all_of(review, code="secret")
    assert "not shown" in row["start"]
    assert "protects others" in review.row(row["id"])["no_keep"]
    with pytest.raises(InputError, match="cannot be kept"):
        review.mark({row["id"]: ("keep", "")})


def test_marks_are_read_again_and_filtered_by(review) -> None:
    kept, *_ = all_of(review, end="kept")
    lost, other, *_ = all_of(review, code="near_duplicate")
    review.mark({kept["id"]: ("drop", "thin\x1b[31m \ud800"), lost["id"]: ("keep", "")})
    again = Review(review.run.path)
    assert again.row(kept["id"])["mark"] == {"says": "drop", "note": "thin \ufffd"}
    assert again.marks[lost["id"]].at == ("near_duplicates",)
    for mark, ids in (("drop", {kept["id"]}), ("any", {kept["id"], lost["id"]})):
        assert {row["id"] for row in all_of(again, mark=mark)} == ids
    assert other["id"] in {row["id"] for row in all_of(again, mark="none")}
    again.mark({kept["id"]: (None, "")})
    assert list(marks.read(review.run.path).by_id) == [lost["id"]]


@pytest.mark.parametrize("code", ["not_selected", "unparsed"])
def test_only_decisions_of_filters_can_be_overruled(review, code) -> None:
    row, *_ = all_of(review, code=code)
    with pytest.raises(InputError, match=r"cannot be kept: .* overrules filters only"):
        review.mark({row["id"]: ("keep", "")})
    assert not (review.run.path / marks.FILE).exists()


def test_the_card_counts_marks_by_what_became_of_them(review) -> None:
    assert "Nothing here was checked by hand." in card.render(review.run)
    kept, *_ = all_of(review, end="kept")
    lost, *_ = all_of(review, code="failed_tests")
    review.mark({kept["id"]: ("keep", ""), lost["id"]: ("keep", "")})
    text = unlinked(card.write(review.run.path).read_text())
    assert "checked by hand" not in text
    assert "- Rows looked at and left in: 1." in text
    assert "- Marks without effect: 1." in text  # before the run is run again
    copied = review.run.path / "dataset" / marks.FILE
    assert copied.read_text() == (review.run.path / marks.FILE).read_text()


@pytest.fixture
def served(review):
    with Server(review) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        own = {"Host": f"127.0.0.1:{server.server_port}"}

        def ask(path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, str]:
            to = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            address = urlsplit(server.url).path + path if not path.startswith("/") else path
            to.request("GET" if body is None else "POST", address, body, {**own, **headers})
            got = to.getresponse()
            text = got.read().decode()
            to.close()
            return got.status, dict(got.headers), text

        yield server, ask
        server.shutdown()


def test_nobody_without_the_token_or_under_another_name_gets_anything(served) -> None:
    server, ask = served
    assert server.server_address[0] == "127.0.0.1"
    assert ask("")[0] == ask("rows")[0] == 200
    body = json.dumps({"id": "x", "says": "drop"}).encode()
    for path in ("/", "/x/", "/x/rows", f"/{server.token[:-1]}/rows", f"/{server.token}x/"):
        assert ask(path)[0] == ask(path, body)[0] == 403
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", ""):
        assert ask("rows", Host=host)[0] == ask("mark", body, Host=host)[0] == 403
    assert ask("../../etc/passwd")[0] == ask("page.css/x")[0] == ask("review.py")[0] == 404


def test_the_page_may_run_its_own_script_alone_and_holds_no_text_of_rows(served) -> None:
    _, ask = served
    _, headers, text = ask("")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?! src)|\son\w+=|style=", text)
    assert "pwned" not in text
    script = ask("review.js")[2]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    _, headers, told = ask("rows?text=pwned")
    assert headers["Content-Type"].startswith("application/json")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not set(told) & set("\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"id": "x", "says": "maybe"}', 400),
     (b'{"id": "x", "says": "drop", "more": 1}', 400), (b'{"id": "x", "says": "drop"}', 400),
     (b" " * 70_000, 413)],
)  # fmt: skip
def test_what_is_no_mark_is_refused_with_a_reason(served, body, status) -> None:
    server, ask = served
    got, _, text = ask("mark", body)
    assert got == status
    assert json.loads(text)["error"]
    assert server.review.marks == {}
    assert ask("rows?page=-1")[0] == ask("rows?low=x")[0] == ask("rows?what=1")[0] == 400


def test_rows_go_to_argilla_and_answers_come_back_as_marks(review, tmp_path) -> None:
    kept, second, third, *_ = all_of(review, end="kept")
    duplicate, *_ = all_of(review, code="near_duplicate")
    picked, *_ = all_of(review, code="not_selected")
    review.mark({third["id"]: ("drop", "was marked")})
    path = tmp_path / "records.json"
    assert argilla.write(review, path) == len(review.rows)
    records = {record["id"]: record for record in json.loads(path.read_text())}
    one = records[kept["id"]]
    assert set(one) == {"id", "fields", "metadata", "suggestions", "responses", "vectors"}
    assert set(one["fields"]) == {"instruction", "output"}
    assert set(one["metadata"]) == {"ended", "stage", "text", "ifd_ppl", "ifd_value"}
    names = {name for record in records.values() for name in record["metadata"]}
    assert all(re.fullmatch("[a-z0-9_-]+", name) for name in names)
    assert records[third["id"]]["suggestions"] == {
        "mark": {"value": "drop", "score": None, "agent": "gristmill review"},
        "note": {"value": "was marked", "score": None, "agent": "gristmill review"},
    }

    def answer(row, *values, note=None):
        users = [{"value": value, "user_id": f"{i:032x}"} for i, value in enumerate(values)]
        records[row["id"]]["responses"] = {"mark": users}
        if note:
            records[row["id"]]["responses"]["note"] = [{"value": note, "user_id": f"{0:032x}"}]

    answer(kept, "drop", "drop", note="thin")
    answer(second, "keep", "drop")
    answer(duplicate, "keep")
    answer(picked, "keep")
    path.write_text(json.dumps(list(records.values())))
    counts = argilla.read(review, path)
    assert (counts["marked"], counts["answers differ"], counts["cannot be kept"]) == (2, 1, 1)
    assert counts["not answered"] == len(review.rows) - 4
    by_id = marks.read(review.run.path).by_id
    assert (by_id[kept["id"]].says, by_id[kept["id"]].note) == ("drop", "thin")
    assert by_id[duplicate["id"]].at == ("near_duplicates",)
    assert by_id[third["id"]].note == "was marked"
    records[kept["id"]]["metadata"]["text"] = "of another text"
    path.write_text(json.dumps([records[kept["id"]], {**one, "id": "elsewhere"}]))
    assert argilla.read(review, path) == {"marked": 0, "changed since": 1, "not in this run": 1}


def test_a_conversation_is_one_field_of_chat_in_argilla(review) -> None:
    [row] = review.rows_of([all_of(review)[0]["id"]]).values()
    said = ["Hi.", "Hello.", "More?", "No."]
    turns = [
        {"role": role, "content": text, "extra": None}
        for role, text in zip(["user", "assistant"] * 2, said, strict=True)
    ]
    row |= {"instruction": "Hi.", "output": "No.", "messages": turns}
    fields = argilla._record(review, row)["fields"]
    assert fields == {"messages": [{"role": t["role"], "content": t["content"]} for t in turns]}


def test_a_row_brought_back_and_written_on_since_can_be_marked_again(review) -> None:
    row_id = all_of(review, code="near_duplicate")[0]["id"]
    review.mark({row_id: ("keep", "")})
    [row] = review.rows_of([row_id]).values()
    past = {"review": {"overruled": {"near_duplicates": "near_duplicate"}}}
    later = {**row, "output": "Written since.", "meta": past, "end": "kept", "end_code": None}
    marks.add(review.run.path, [review._mark(later, "keep", "still good")])
    said = marks.read(review.run.path)
    assert said.bring_back(row, "near_duplicates", "near_duplicate") is not None
    assert said.bring_back(later, "near_duplicates", "near_duplicate") is not None
    other = {**row, "output": "Of nobody."}
    assert said.bring_back(other, "near_duplicates", "near_duplicate") is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"id": 3}]'])
def test_a_file_without_records_is_refused(review, tmp_path, text) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        argilla.read(review, tmp_path / "x.json")
