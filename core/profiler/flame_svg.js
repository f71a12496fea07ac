/* SPDX-License-Identifier: MIT */
/* What a flame graph in SVG does where scripts run: it zooms, searches, and follows the keyboard. */
(() => {
  "use strict";
  const svg = document.currentScript.closest("svg"), space = svg.namespaceURI;
  const LEFT = 10, WIDE = 1180, CHARACTER = 6.7, ROW = 17;
  const info = svg.querySelector(".info"), found = svg.querySelector(".found");
  const quiet = info.textContent;
  let graph, at = 0; /* where the keyboard is */

  /* Boxes are in the order of a walk; their depth is how far they are from the first. */
  function read(element) {
    const boxes = [...element.children].filter(b => b.nodeName === "g");
    const wide = element.dataset.w.split(" ").map(Number);
    const y = boxes.map(b => +b.querySelector("rect").getAttribute("y"));
    const g = { element, boxes, wide, up: y[0] > 0, zoomed: 0, names: [], from: [], depth: [], parent: [], next: [] };
    const open = [], cursor = [0];
    boxes.forEach((box, i) => {
      const depth = Math.round(Math.abs(y[i] - y[0]) / ROW);
      while (open.length > depth) g.next[open.pop()] = i;
      g.parent[i] = depth ? open[depth - 1] : -1;
      open.push(i);
      g.depth[i] = depth;
      g.from[i] = cursor[depth];
      cursor[depth + 1] = cursor[depth];
      cursor[depth] += wide[i];
      box.number = i;
    });
    while (open.length) g.next[open.pop()] = boxes.length;
    return g;
  }
  const titleOf = (g, i) => g.boxes[i].querySelector("title").textContent;
  const nameOf = (g, i) => g.names[i] ??= titleOf(g, i).split("\n")[0];

  function place(g, i, x, width) {
    const box = g.boxes[i], rect = box.querySelector("rect");
    let text = box.querySelector("text");
    const room = Math.floor((width - 6) / CHARACTER);
    box.style.display = width < 0.1 ? "none" : "";
    if (width < 0.1) return;
    rect.setAttribute("x", x.toFixed(2));
    rect.setAttribute("width", Math.max(width - 0.3, 0.1).toFixed(2));
    const name = nameOf(g, i);
    if (room < Math.min(5, name.length)) {
      if (text) text.remove();
      return;
    }
    if (!text) {
      text = document.createElementNS(space, "text");
      text.setAttribute("y", +rect.getAttribute("y") + 12);
      box.append(text);
    }
    text.setAttribute("x", (x + 3).toFixed(2));
    text.textContent = name.length <= room ? name : name.slice(0, room - 2) + "..";
  }

  /* The box takes the whole width, those that call it with it; what is beside it is hidden. */
  function zoom(g, i) {
    const scale = WIDE * (i ? 1 : g.wide[0] / g.all) / g.wide[i];
    const last = g.next[i];
    g.zoomed = i;
    g.boxes.forEach((box, j) => {
      const above = j < i && g.next[j] > i;
      box.classList.toggle("caller", above);
      if (above) place(g, j, LEFT, WIDE);
      else if (j >= i && j < last) place(g, j, LEFT + (g.from[j] - g.from[i]) * scale, g.wide[j] * scale);
      else box.style.display = "none";
    });
  }

  function look(g, i) {
    graph.boxes[at].classList.remove("at");
    graph = g;
    at = i;
    g.boxes[i].classList.add("at");
    info.textContent = titleOf(g, i).replace("\n", ": ");
  }

  /* Of boxes within boxes that are found, only the outer one counts. */
  function search(words) {
    const wanted = words.toLowerCase();
    let sum = 0;
    for (const g of graphs)
      for (let i = 0, beyond = 0; i < g.boxes.length; i++) {
        const hit = wanted !== "" && nameOf(g, i).toLowerCase().includes(wanted);
        g.boxes[i].classList.toggle("hit", hit);
        if (!hit || i < beyond || g !== graphs[0]) continue;
        sum += g.wide[i];
        beyond = g.next[i];
      }
    found.textContent = wanted ? "found: " + (100 * sum / graphs[0].wide[0]).toFixed(2) + " %" : "";
  }

  function control(x, width, element) {
    const outer = document.createElementNS(space, "foreignObject");
    for (const [name, value] of [["x", x], ["y", 8], ["width", width], ["height", 26]]) outer.setAttribute(name, value);
    outer.append(element);
    svg.append(outer);
    return element;
  }
  function make(name, properties) {
    return Object.assign(document.createElementNS("http://www.w3.org/1999/xhtml", name), properties);
  }
  function reset() {
    input.value = "";
    search("");
    for (const g of graphs) zoom(g, 0);
    look(graphs[0], 0);
    graph.boxes[0].classList.remove("at");
    info.textContent = quiet;
  }

  function step(key) {
    const g = graph, out = g.up ? "ArrowUp" : "ArrowDown", back = g.up ? "ArrowDown" : "ArrowUp";
    if (key === out) {
      let best = -1;
      for (let j = at + 1; j < g.next[at]; j = g.next[j]) if (best < 0 || g.wide[j] > g.wide[best]) best = j;
      return best;
    }
    if (key === back) return g.parent[at];
    if (key === "ArrowRight") return at && g.next[at] < g.next[g.parent[at]] ? g.next[at] : -1;
    if (key !== "ArrowLeft" || !at) return -1;
    let before = -1;
    for (let j = g.parent[at] + 1; j < at; j = g.next[j]) before = j;
    return before;
  }

  const graphs = [...svg.querySelectorAll(".flame")].map(read);
  for (const g of graphs) g.all = +g.element.dataset.all;
  graph = graphs[0];
  const input = control(1000, 120, make("input", { type: "search", placeholder: "search: /", ariaLabel: "search functions" }));
  const button = control(1125, 65, make("button", { type: "button", textContent: "reset" }));
  input.addEventListener("input", () => search(input.value));
  button.addEventListener("click", reset);

  svg.addEventListener("click", event => {
    const box = event.target.closest(".flame > g");
    if (!box) return;
    const g = graphs.find(one => one.element === box.parentNode);
    look(g, box.number);
    zoom(g, box.number);
  });
  svg.addEventListener("mouseover", event => {
    const box = event.target.closest(".flame > g");
    if (box) info.textContent = box.querySelector("title").textContent.replace("\n", ": ");
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") return reset();
    if (event.target === input || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      input.focus();
    } else if (event.key === "Enter" && event.target !== button) {
      zoom(graph, at);
    } else if (event.key === "Backspace") {
      const to = Math.max(graph.parent[graph.zoomed], 0);
      look(graph, to);
      zoom(graph, to);
    } else if (event.key.startsWith("Arrow")) {
      const to = step(event.key);
      if (to >= 0) look(graph, to);
    } else {
      return;
    }
    event.preventDefault();
  });
  svg.classList.add("live");
})();
