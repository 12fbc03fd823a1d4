// The review page: asks for rows, shows text as text, sends marks. Nothing of a row becomes markup.
"use strict";

const at = (id) => document.getElementById(id);
const list = at("rows"), filters = at("filters"), note = at("note");
let rows = [], chosen = 0, page = 0, n = 0, size = 1, shown = null, asked = 0;
let reading = Promise.resolve();  // the chosen row on its way
let queue = Promise.resolve();  // what keys and buttons asked for, one after the other
let isWritten = false;  // whether the note was typed for the chosen row

function make(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

async function ask(path, body) {
  const how = body ? { method: "POST", body: JSON.stringify(body) } : {};
  try {
    const answer = await fetch(path, how);
    const told = await answer.json();
    if (!told.error) return told;
    at("said").textContent = told.error;
  } catch {
    at("said").textContent = "The command that serves this page has ended: start it again.";
  }
  return null;
}

async function load(wanted, place) {
  const now = ++asked;
  const query = new URLSearchParams({ page: wanted });
  for (const [name, value] of new FormData(filters)) if (value) query.set(name, value);
  const told = await ask(`rows?${query}`);
  if (!told || now !== asked) return;  // a later question is under way
  ({ rows, n, page, size } = told);
  count(told.marks);
  at("where").textContent = n ? `${page * size + 1} to ${page * size + rows.length} of ${n.toLocaleString("en")}` : "no row";
  at("before").disabled = page === 0;
  at("after").disabled = (page + 1) * size >= n;
  list.replaceChildren(...rows.map(line));
  choose(place < 0 ? rows.length - 1 : place);
}

function count(marks) {
  at("tally").textContent = `${n.toLocaleString("en")} rows; marked by hand: keep ${marks.keep}, drop ${marks.drop}`;
}

function line(row, i) {
  const made = make("div", undefined, "line");
  made.id = `line-${i}`;
  made.setAttribute("role", "option");
  const ended = [row.end, row.end === "kept" ? null : `at ${row.stage}`, row.code].filter(Boolean).join(" ");
  made.append(make("span", row.start || "no text", "start"), make("span", ended, "how"), make("span"));
  if (row.score !== null) made.children[1].textContent += ` · ${row.score.toPrecision(4)}`;
  tell(made, row.mark);
  made.addEventListener("click", () => then(() => choose(i)));
  return made;
}

function tell(made, mark) {
  made.lastChild.textContent = mark || "";
  made.lastChild.className = `marked is-${mark}`;
}

function choose(i) {
  if (document.activeElement !== note) isWritten = false;
  chosen = Math.max(0, Math.min(i, rows.length - 1));
  for (const [j, made] of [...list.children].entries()) made.setAttribute("aria-selected", j === chosen);
  const own = list.children[chosen];
  if (!own) {
    list.removeAttribute("aria-activedescendant");
    show(null);
    return;
  }
  list.setAttribute("aria-activedescendant", own.id);
  own.scrollIntoView({ block: "nearest" });
  reading = read(rows[chosen].id);
}

async function read(id) {
  const told = await ask(`row?id=${encodeURIComponent(id)}`);
  if (told && rows[chosen]?.id === id) show(told);
}

function show(row) {
  const other = shown?.id !== row?.id;
  shown = row;
  for (const name of ["keep", "drop"]) {
    at(name).setAttribute("aria-pressed", row?.mark?.says === name);
    at(name).disabled = !row;
  }
  at("keep").disabled = !row || Boolean(row.no_keep);
  at("undo").disabled = !row?.mark;
  if (!isWritten) note.value = row?.mark?.note || "";
  if (other) {
    at("row").scrollTop = 0;
    at("said").textContent = row?.no_keep ? `Cannot be kept: ${row.no_keep}.` : "";
  }
  at("body").replaceChildren(...(row ? parts(row) : []));
}

function parts(row) {
  const ended = row.end === "kept" ? "in the dataset" : `${row.end} at ${row.stage}${row.code ? `: ${row.code}` : ""}`;
  const made = [facts([["row", row.id.slice(0, 12)], ["ended", ended], ...row.about])];
  if (row.why) made.push(make("p", row.why, "why"));
  for (const [name, text] of row.texts) made.push(make("h2", name), make("pre", text));
  const numbers = row.scores.map(([name, value]) => [name, String(Number(value.toPrecision(5)))]);
  if (numbers.length) made.push(make("h2", "scores"), facts(numbers));
  if (row.verdicts.length) made.push(make("h2", "verdicts"), facts(row.verdicts));
  return made;
}

function facts(pairs) {
  const made = make("dl", undefined, "facts");
  for (const [name, value] of pairs) {
    const one = make("div");
    one.append(make("dt", name), make("dd", value));
    made.append(one);
  }
  return made;
}

async function mark(says, goOn) {
  await reading;
  const place = chosen;
  if (!shown || shown.id !== rows[place]?.id || (says === "keep" && shown.no_keep)) return;
  const told = await ask("mark", { id: shown.id, says, note: says ? note.value : "" });
  if (!told) return;
  isWritten = false;
  tell(list.children[place], says);
  show(told.row);
  count(told.marks);
  at("said").textContent = says ? `Marked: ${says}.` : "The mark is taken back.";
  if (goOn) await move(1);
}

async function move(by) {
  const next = chosen + by;
  if (next >= 0 && next < rows.length) return choose(next);
  return turn(by, by > 0 ? 0 : -1);
}

async function turn(by, place) {
  if (page + by >= 0 && (page + by) * size < n) await load(page + by, place);
}

function then(what) {
  queue = queue.then(what).catch((error) => console.error(error));
}

const now = { n: () => { note.focus(); note.select(); }, "/": () => at("search").focus(), "?": () => at("help").showModal() };
const keys = {
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  "[": () => turn(-1, 0), "]": () => turn(1, 0),
  y: () => mark("keep", true), d: () => mark("drop", true), u: () => mark(null, false),
};

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, dialog");
  if (event.key === "Escape" && field) list.focus();
  const what = now[event.key] || keys[event.key];
  if (field || event.ctrlKey || event.altKey || event.metaKey || !what) return;
  event.preventDefault();
  if (now[event.key]) what();
  else then(what);
});
note.addEventListener("input", () => { isWritten = true; });
note.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (shown?.mark) then(() => mark(shown.mark.says, false));
  list.focus();
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  list.focus();
});
let pause;
filters.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => then(() => load(0, 0)), 150);
});
for (const [id, what] of Object.entries({
  keep: () => mark("keep", true), drop: () => mark("drop", true), undo: () => mark(null, false),
  before: () => turn(-1, 0), after: () => turn(1, 0), "help-open": now["?"],
})) at(id).addEventListener("click", () => then(what));

load(0, 0).then(() => list.focus());
