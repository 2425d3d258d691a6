
"use strict";
(() => {
  const tables = [...document.querySelectorAll("table[id]")];
  const rowsOf = (table) => [...table.tBodies[0].rows];
  const text = (cell) => (cell ? cell.textContent.trim() : "");

  // Sorting: a click on the head of a column, and once more for the other direction.
  const collator = new Intl.Collator("en", { numeric: true });
  const sort = (table, column, head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rowsOf(table).map((row) => [text(row.cells[column]), row]);
    keyed.sort((a, b) => (down ? -1 : 1) * collator.compare(a[0], b[0]));
    table.tBodies[0].append(...keyed.map((pair) => pair[1]));
  };
  for (const table of tables) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.className === "sign") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
  }

  // Filtering: a row is shown when it has every word, in any column but the last of the review.
  const box = document.getElementById("filter");
  const shown = document.getElementById("shown");
  if (box) {
    const words = tables.map((table) => rowsOf(table).map((row) =>
      [row, [...row.cells].filter((cell) => !cell.classList.contains("sign")).map(text).join(" ").toLowerCase()])).flat();
    const apply = () => {
      const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const [row, has] of words) {
        row.hidden = !wanted.every((word) => has.includes(word));
        if (!row.hidden) count += 1;
      }
      shown.value = wanted.length ? `${count} of ${words.length} rows` : `${words.length} rows`;
    };
    let waiting = 0;
    box.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, words.length > 5000 ? 200 : 0);
    });
    box.closest("p").hidden = false;
    apply();
  }

  // The review: one of the two boxes of a row, and how far it is.
  const progress = document.getElementById("progress");
  const boxes = [...document.querySelectorAll(".sign input")];
  const count = () => {
    const ticked = (kind) => boxes.filter((one) => one.checked && one.parentNode.className === kind).length;
    const [keep, remove] = [ticked("keep"), ticked("remove")];
    progress.value = `reviewed ${keep + remove} of ${boxes.length / 2}: keep ${keep}, remove ${remove}`;
  };
  for (const one of boxes) {
    one.addEventListener("change", () => {
      for (const other of one.closest("td").querySelectorAll("input")) {
        if (other !== one && one.checked) other.checked = false;
      }
      count();
    });
  }
  if (boxes.length) count();

  // The graph: what a node is connected with, on both sides, is lit while the pointer is on it; a click filters by it.
  const graph = document.getElementById("graph");
  if (graph) {
    const edges = [...graph.querySelectorAll(".edge")];
    const nodes = new Map([...graph.querySelectorAll(".node")].map((node) => [node.dataset.node, node]));
    const walk = (start, from, to) => {
      const seen = new Set([start]);
      for (const at of seen) {
        for (const edge of edges) {
          if (edge.dataset[from] === at) {
            edge.classList.add("lit");
            seen.add(edge.dataset[to]);
          }
        }
      }
      for (const at of seen) nodes.get(at)?.classList.add("lit");
    };
    const clear = () => {
      graph.classList.remove("dim");
      for (const lit of graph.querySelectorAll(".lit")) lit.classList.remove("lit");
    };
    for (const [id, node] of nodes) {
      node.addEventListener("pointerenter", () => {
        clear();
        graph.classList.add("dim");
        walk(id, "from", "to");
        walk(id, "to", "from");
      });
      node.addEventListener("pointerleave", clear);
      node.addEventListener("click", () => {
        const name = node.querySelector("title").textContent;
        box.value = name.slice(name.indexOf(" ") + 1);
        box.dispatchEvent(new Event("input"));
      });
    }
  }
})();
