"use strict";
// Items come as JSON and become text nodes only: nothing that was asked or answered is ever markup.
(function () {
  const data = JSON.parse(document.getElementById("items").textContent);
  const body = document.getElementById("rows");
  const search = document.getElementById("search");
  const status = document.getElementById("status");
  const spec = document.getElementById("spec");
  const told = document.getElementById("told");
  const more = document.getElementById("more");
  const columns = ["spec", "key", "status", "output_tokens", "usd"];
  const PAGE = 50;
  let shown = PAGE, by = null, up = true;

  function cell(text, kind) {
    const td = document.createElement("td");
    td.textContent = text;
    if (kind) td.className = kind;
    return td;
  }

  function part(box, title, text) {
    if (!text) return;
    const head = document.createElement("div");
    head.className = "dim";
    head.textContent = title;
    const pre = document.createElement("pre");
    pre.textContent = text;
    box.append(head, pre);
  }

  function details(item) {
    const td = document.createElement("td");
    td.className = "text";
    const box = document.createElement("details");
    const line = document.createElement("summary");
    line.textContent = (item.answer || item.detail || "—").slice(0, 120);
    box.append(line);
    part(box, "input", item.row);
    part(box, "prompt", item.prompt);
    part(box, "answer", item.answer);
    part(box, "what is wrong", item.detail);
    td.append(box);
    return td;
  }

  function row(item) {
    const tr = document.createElement("tr");
    const kind = item.status === "succeeded" ? "good" : "bad";
    tr.append(cell(item.spec, "name"), cell(item.key), cell(item.status, kind + " whole"),
      cell(String(item.output_tokens), "number"), cell(item.usd === null ? "?" : item.usd, "number"), details(item));
    return tr;
  }

  function order(a, b) {
    const x = a[by], y = b[by];
    const numeric = by === "output_tokens" || by === "usd";
    const result = numeric ? Number(x) - Number(y) : x < y ? -1 : x > y ? 1 : 0;
    return up ? result : -result;
  }

  function draw() {
    const words = search.value.toLowerCase();
    let found = data.filter(function (item) {
      return (!status.value || item.status === status.value) && (!spec.value || item.spec === spec.value) &&
        (!words || (item.key + "\n" + item.row + "\n" + item.prompt + "\n" + item.answer + "\n" + item.detail)
          .toLowerCase().includes(words));
    });
    if (by) found = found.slice().sort(order);
    body.replaceChildren(...found.slice(0, shown).map(row));
    told.textContent = found.length + " of " + data.length + " items of the sample" +
      (found.length > shown ? ", the first " + shown + " are shown" : "");
    more.hidden = found.length <= shown;
  }

  function first() { shown = PAGE; draw(); }
  search.addEventListener("input", first);
  status.addEventListener("change", first);
  spec.addEventListener("change", first);
  more.addEventListener("click", function () { shown += 4 * PAGE; draw(); });
  document.querySelectorAll("#table th button").forEach(function (button, index) {
    button.addEventListener("click", function () {
      up = by === columns[index] ? !up : true;
      by = columns[index];
      document.querySelectorAll("#table th").forEach(function (th) { th.removeAttribute("aria-sort"); });
      button.parentElement.setAttribute("aria-sort", up ? "ascending" : "descending");
      draw();
    });
  });
  draw();
})();
