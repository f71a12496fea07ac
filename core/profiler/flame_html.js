/* SPDX-License-Identifier: MIT */
/*
 * The page of a flame graph: the picture on a canvas, which only draws what can be seen, and the
 * table of functions. Where one is stands in the address behind "#", so that "back" goes back and an
 * address can be passed on. flame_html.c writes the data.
 */
(() => {
  "use strict";
  const $ = id => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const ROW = 18, NARROW = 0.4, INK = "#14171b", HIT = "#e9a6ff";
  const graph = $("graph"), canvas = graph.querySelector("canvas"), paint = canvas.getContext("2d");
  const count = data.boxes.length / 4, frames = data.frames, diff = data.changes !== null;

  /* --- boxes: flat arrays, in the order of a walk; a box's callees follow it ------------------- */

  const frame = new Uint32Array(count), depth = new Uint32Array(count), next = new Uint32Array(count);
  const parent = new Int32Array(count), total = new Float64Array(count), self = new Float64Array(count);
  const from = new Float64Array(count), wide = new Float64Array(count);
  const trees = [{ root: 0, base: 0, rows: 0, zoom: 0, end: count }];
  (() => {
    const open = [];
    for (let i = 0, b = 0; i < count; i++, b += 4) {
      for (let closed = data.boxes[b + 1]; closed > 0; closed--) next[open.pop()] = i;
      frame[i] = data.boxes[b];
      total[i] = data.boxes[b + 2];
      self[i] = data.boxes[b + 3];
      parent[i] = open.length ? open[open.length - 1] : -1;
      depth[i] = open.length;
      if (!open.length && i) {
        trees[0].end = i;
        trees.push({ root: i, base: trees[0].rows + 2, rows: 0, zoom: i, end: count });
      }
      open.push(i);
      const tree = trees[trees.length - 1];
      tree.rows = Math.max(tree.rows, depth[i] + 1);
    }
    while (open.length) next[open.pop()] = count;
  })();
  const change = (i, what) => data.changes[5 * i + what]; /* total, self, width, colour, word; before */
  const q = i => data.q[i];

  /* How wide boxes are is a matter of choice only where there are two sides. */
  function lay(mode) {
    const cursor = [0];
    for (let i = 0; i < count; i++) {
      const d = depth[i], lane = trees.length > 1 && i >= trees[1].root;
      wide[i] = !diff ? (total[0] ? total[i] / total[0] : 1)
        : lane || mode === "both" ? change(i, 2) : mode === "after" ? total[i] / total[0] : change(i, 0) / change(0, 0);
      if (d === 0) cursor[0] = 0;
      from[i] = cursor[d];
      cursor[d + 1] = cursor[d];
      cursor[d] += wide[i];
    }
  }
  const treeOf = i => trees.length > 1 && i >= trees[1].root ? trees[1] : trees[0];

  /* --- words ----------------------------------------------------------------------------------- */

  const integer = new Intl.NumberFormat("en-US");
  function scaled(value, steps) {
    for (const [size, unit] of steps) if (value >= size) return (value / size).toPrecision(3) + " " + unit;
    return value + " " + steps[steps.length - 1][1];
  }
  function amount(value) {
    if (data.unit === "nanoseconds") return scaled(value, [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]]);
    if (data.unit === "bytes")
      return scaled(value, [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]);
    return integer.format(value) + " " + data.what;
  }
  const percent = share => (100 * share).toFixed(2) + " %";
  const points = share => (share < 0 ? "−" : "+") + (100 * Math.abs(share)).toFixed(2);
  const nameOf = i => frames[frame[i]][0];
  function describe(i) {
    const [name, library, kind] = frames[frame[i]];
    const who = name + (library ? " (" + library.replace(/^.*\/(?=.)/, "") + ")" : "") + (kind ? ", " + kind : "");
    if (!diff)
      return who + ": " + amount(total[i]) + ", " + percent(wide[i]) + "; itself " + percent(self[i] / (total[0] || 1));
    const before = change(i, 0) / change(0, 0), after = total[i] / total[0];
    const mark = data.words[change(i, 4)] + (q(i) === null ? "" : ", q " + q(i));
    if (treeOf(i).root)
      return who + ": " + percent(before) + " of before (" + amount(change(i, 0)) + ") in paths that vanished: " + mark;
    return who + ": " + percent(before) + " → " + percent(after) + " (" + points(after - before) + " points; " +
      amount(change(i, 0)) + " → " + amount(total[i]) + "): " + mark;
  }

  /* --- the picture ----------------------------------------------------------------------------- */

  let at = 0, hits = null, width = 0, asked = 0;
  const colourOf = i => data.colours[diff ? change(i, 3) : frames[frame[i]][3]];

  function box(i, x, w, y, faded) {
    const hit = hits && hits[frame[i]];
    paint.globalAlpha = faded || (hits && !hit) ? 0.5 : 1;
    paint.fillStyle = hit ? HIT : colourOf(i);
    paint.fillRect(x, y, Math.max(w - (w > 2 ? 0.6 : 0), 0.4), ROW - 1);
    paint.globalAlpha = 1;
    if (i === at && document.activeElement === graph) {
      paint.strokeStyle = getComputedStyle(graph).color;
      paint.lineWidth = 2;
      paint.strokeRect(x + 1, y + 1, Math.max(w - 2, 1), ROW - 3);
    }
    const room = Math.floor((w - 8) / box.character);
    const name = nameOf(i);
    if (room < Math.min(5, name.length)) return; /* "q.." tells nothing */
    paint.fillStyle = INK;
    paint.fillText(name.length <= room ? name : name.slice(0, room - 2) + "..", x + 4, y + ROW - 6);
  }

  function drawTree(tree, first, last) {
    const z = tree.zoom, whole = z === tree.root;
    const scale = whole ? width : width / wide[z], start = from[z], above = depth[z];
    for (let a = parent[z]; a >= 0; a = parent[a]) {
      const row = tree.base + depth[a];
      if (row >= first && row <= last) box(a, 0, width, (row - first) * ROW - drawTree.shift, true);
    }
    for (let i = z, end = next[z]; i < end;) {
      const w = wide[i] * scale, row = tree.base + depth[i];
      if (w < NARROW || row > last) {
        i = next[i];
        continue;
      }
      if (row >= first) box(i, (from[i] - start) * scale, w, (row - first) * ROW - drawTree.shift, depth[i] < above);
      i++;
    }
  }

  function draw() {
    const began = performance.now(), ratio = window.devicePixelRatio || 1;
    const height = graph.clientHeight;
    asked = 0;
    width = graph.clientWidth;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
    }
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    paint.font = "12px ui-monospace,'DejaVu Sans Mono',monospace";
    box.character = paint.measureText("m").width;
    const first = Math.floor(graph.scrollTop / ROW), last = first + Math.ceil(height / ROW) + 1;
    drawTree.shift = graph.scrollTop % ROW;
    for (const tree of trees) drawTree(tree, first, last);
    if (trees.length > 1) {
      paint.fillStyle = getComputedStyle(graph).color;
      paint.fillText("Paths that vanished, among their callers, as wide as they were:", 4,
        (trees[1].base - 1 - first) * ROW - drawTree.shift + ROW - 6);
    }
    draw.took = performance.now() - began;
  }
  const redraw = () => asked ||= requestAnimationFrame(draw);

  /* Which box is at a place of the canvas; -1: none. */
  function find(x, y) {
    const row = Math.floor((graph.scrollTop + y) / ROW);
    const tree = trees.length > 1 && row >= trees[1].base ? trees[1] : trees[0];
    const d = row - tree.base, z = tree.zoom;
    if (d < 0 || d >= tree.rows) return -1;
    let i = z;
    if (d <= depth[z]) {
      while (depth[i] > d) i = parent[i];
      return d === depth[z] && x > width * (z === tree.root ? wide[z] : 1) ? -1 : i;
    }
    const place = x / (z === tree.root ? width : width / wide[z]) + from[z];
    while (depth[i] < d) {
      let inside = -1;
      for (let j = i + 1; j < next[i]; j = next[j])
        if (place >= from[j] && place < from[j] + wide[j]) inside = j;
      if (inside < 0) return -1;
      i = inside;
    }
    return i;
  }

  function look(i) {
    at = i;
    $("info").textContent = describe(i);
    redraw();
  }
  function show(i) { /* its row is to be seen */
    const y = (treeOf(i).base + depth[i]) * ROW;
    if (y < graph.scrollTop) graph.scrollTop = y;
    else if (y + ROW > graph.scrollTop + graph.clientHeight) graph.scrollTop = y + ROW - graph.clientHeight;
  }

  /* --- search ---------------------------------------------------------------------------------- */

  /* Of boxes within boxes that are found, only the outer one counts. */
  function search(words) {
    const wanted = words.toLowerCase();
    hits = wanted ? Uint8Array.from(frames, f => (f[0] + " " + f[1]).toLowerCase().includes(wanted)) : null;
    let sum = 0;
    for (let i = 0, end = trees[0].end; hits && i < end;)
      if (hits[frame[i]]) {
        sum += wide[i];
        i = next[i];
      } else {
        i++;
      }
    $("found").textContent = hits ? "found: " + percent(sum / (wide[0] || 1)) : "";
    table.rows = 0;
    table();
    redraw();
  }

  /* --- where one is ---------------------------------------------------------------------------- */

  function state() {
    const all = new URLSearchParams(location.hash.slice(1));
    const z = Number(all.get("z") ?? 0);
    return { z: Number.isInteger(z) && z >= 0 && z < count ? z : 0, s: all.get("s") ?? "", w: all.get("w") ?? "both" };
  }
  function go(part, replace) {
    const to = { ...state(), ...part };
    const hash = new URLSearchParams();
    if (to.z) hash.set("z", to.z);
    if (to.s) hash.set("s", to.s);
    if (to.w !== "both") hash.set("w", to.w);
    if (hash.toString() === location.hash.slice(1)) return;
    if (replace) history.replaceState(null, "", "#" + hash);
    else history.pushState(null, "", "#" + hash);
    apply();
  }
  function apply() {
    const { z, s, w } = state();
    const layout = $("layout");
    if (layout) layout.value = ["after", "before"].includes(w) ? w : "both";
    lay(layout ? layout.value : "both");
    for (const tree of trees) tree.zoom = tree.root;
    treeOf(z).zoom = wide[z] > 0 ? z : treeOf(z).root;
    if ($("search").value !== s) $("search").value = s;
    search(s);
    $("reset").disabled = !z && !s;
    look(treeOf(z).zoom);
    show(at);
  }
  const reset = () => go({ z: 0, s: "" });

  /* --- the table of functions ------------------------------------------------------------------ */

  const body = $("functions").querySelector("tbody"), heads = [...$("functions").querySelectorAll("thead th")];
  const FIELDS = diff ? 5 : 3; /* frame, self, total, self before, total before */
  const functions = Array.from({ length: data.functions.length / FIELDS }, (_, i) => i);
  const field = (i, what) => data.functions[FIELDS * i + what];
  const all = total[0] || 1, allBefore = diff ? change(0, 0) : 1;
  const shares = diff ? [
    i => field(i, 3) / allBefore, i => field(i, 1) / all, i => field(i, 1) / all - field(i, 3) / allBefore,
    i => field(i, 4) / allBefore, i => field(i, 2) / all, i => field(i, 2) / all - field(i, 4) / allBefore]
    : [i => field(i, 1) / all, i => field(i, 1), i => field(i, 2) / all, i => field(i, 2)];
  const cells = diff ? [percent, percent, points, percent, percent, points] : [percent, amount, percent, amount];
  let sorted = null, downward = true;

  function table() {
    const MORE = 100, shown = table.rows + MORE;
    const wanted = hits ? functions.filter(i => hits[field(i, 0)]) : functions;
    const fragment = document.createDocumentFragment();
    for (const i of wanted.slice(table.rows, shown)) {
      const row = document.createElement("tr"), head = document.createElement("th");
      const button = document.createElement("button"), f = frames[field(i, 0)];
      head.scope = "row";
      button.type = "button";
      button.textContent = f[0];
      button.title = "search for it";
      button.addEventListener("click", () => go({ s: f[0] }));
      head.append(button, f[1] ? " " + f[1] : "");
      row.append(head);
      shares.forEach((share, c) => {
        const cell = document.createElement("td");
        cell.className = "n";
        cell.textContent = cells[c](share(i));
        row.append(cell);
      });
      fragment.append(row);
    }
    if (table.rows) body.append(fragment);
    else body.replaceChildren(fragment);
    table.rows = shown;
    $("more").hidden = shown >= wanted.length;
    $("listed").textContent = integer.format(Math.min(shown, wanted.length)) + " of " +
      integer.format(wanted.length) + " functions" + (hits ? " that were found" : "");
  }
  function sort(column) {
    downward = sorted === column ? !downward : column > 0;
    sorted = column;
    const key = column ? shares[column - 1] : null, sign = downward ? -1 : 1;
    functions.sort((a, b) => sign * (key ? key(a) - key(b) : frames[field(a, 0)][0] < frames[field(b, 0)][0] ? -1 : 1) || a - b);
    heads.forEach((head, i) => head.setAttribute("aria-sort", i !== column ? "none" : downward ? "descending" : "ascending"));
    table.rows = 0;
    table();
  }
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });

  /* --- hands ----------------------------------------------------------------------------------- */

  function step(key) {
    if (key === "ArrowUp") return parent[at];
    if (key === "ArrowDown") {
      let best = -1;
      for (let j = at + 1; j < next[at]; j = next[j]) if (best < 0 || wide[j] > wide[best]) best = j;
      return best;
    }
    const p = parent[at];
    if (p < 0) return -1;
    if (key === "ArrowRight") return next[at] < next[p] ? next[at] : -1;
    let before = -1;
    for (let j = p + 1; j < at; j = next[j]) before = j;
    return before;
  }
  const place = event => {
    const edge = canvas.getBoundingClientRect();
    return find(event.clientX - edge.left, event.clientY - edge.top);
  };
  canvas.addEventListener("mousemove", event => {
    const i = place(event);
    if (i >= 0 && i !== at) look(i);
  });
  canvas.addEventListener("click", event => {
    const i = place(event);
    if (i >= 0) go({ z: i === treeOf(i).root ? 0 : i });
  });
  graph.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) {
      const to = step(event.key);
      if (to >= 0) {
        look(to);
        show(to);
      }
    } else if (event.key === "Enter") {
      go({ z: at });
    } else if (event.key === "Backspace") {
      const z = treeOf(at).zoom;
      go({ z: Math.max(parent[z], 0) });
    } else {
      return;
    }
    event.preventDefault();
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") reset();
    if (event.key !== "/" || event.target.matches("input, select")) return;
    $("search").focus();
    event.preventDefault();
  });
  graph.addEventListener("scroll", redraw);
  graph.addEventListener("focus", () => look(at));
  graph.addEventListener("blur", redraw);
  $("search").addEventListener("input", () => go({ s: $("search").value }, true));
  $("back").addEventListener("click", () => history.back());
  $("reset").addEventListener("click", reset);
  $("more").addEventListener("click", table);
  if ($("layout")) $("layout").addEventListener("change", () => go({ w: $("layout").value }));
  window.addEventListener("popstate", apply);
  new ResizeObserver(redraw).observe(graph);

  const last = trees[trees.length - 1];
  $("deep").style.height = (last.base + last.rows) * ROW + "px";
  graph.style.setProperty("--high", (last.base + last.rows) * ROW + 2 + "px");
  table.rows = 0;
  for (const element of document.querySelectorAll("[data-live]")) element.hidden = false;
  apply();
  draw();
  document.documentElement.dataset.ready = draw.took.toFixed(1);
})();
