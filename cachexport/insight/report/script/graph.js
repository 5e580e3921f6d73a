// Records as boxes in the columns and rows that were worked out for them, with lines between.

const BOX = { width: 118, height: 38 };
const PITCH = { x: 152, y: 54 };
const MARGIN = 14;
const MANY = 24;
const MOST = 600;

function drawGraph(holder, data) {
  const panel = html("div", { class: "details flat", id: `record-${holder.dataset.graph}` });
  const size = {
    width: 2 * MARGIN + (data.columns - 1) * PITCH.x + BOX.width,
    height: 2 * MARGIN + (data.rows - 1) * PITCH.y + BOX.height,
  };
  const picture = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "listbox", "aria-label": holder.dataset.label });
  for (const kind of ["main", "alternative"]) {
    picture.append(svg("path", { class: `line ${kind}`, d: lines(data, (edge) => edge[2] === kind) }));
  }
  const hot = svg("path", { class: "line hot", d: "" });
  picture.append(hot);
  const spots = data.nodes.map((node) => ({ x: node.column * PITCH.x, y: node.row * PITCH.y, element: nodeElement(node) }));
  picture.append(...spots.map((spot) => spot.element));
  const view = html("div", { class: "view" }, picture);
  holder.append(tools(view, picture, size), view, panel);

  spareText(view, spots);

  const links = linked(data);
  let shown = [];
  choosing(picture, spots, panel.id, show, (index, key) => (key === "ArrowLeft" ? links.before[index][0] : key === "ArrowRight" ? links.after[index][0] : undefined));
  picture.addEventListener("focusin", (event) => event.target.scrollIntoView({ block: "nearest", inline: "nearest" }));

  function show(index) {
    shown.forEach((number) => spots[number].element.classList.remove("near"));
    shown = [...links.before[index], ...links.after[index]].slice(0, MOST);
    shown.forEach((number) => spots[number].element.classList.add("near"));
    hot.classList.toggle("many", shown.length > MANY);
    const drawn = new Set(shown);
    hot.setAttribute("d", lines(data, ([from, to]) => (from === index && drawn.has(to)) || (to === index && drawn.has(from))));
    tell(panel, data.nodes[index]);
  }
}

// Text is laid out anew at each zoom, which takes seconds for thousands: only what is in view has it.
function spareText(view, spots) {
  const watch = (entries) => entries.forEach(({ target, isIntersecting }) => target.classList.toggle("away", !isIntersecting));
  const watcher = new IntersectionObserver(watch, { root: view, rootMargin: "200px" });
  for (const { element } of spots) {
    element.classList.add("away");
    watcher.observe(element);
  }
}

function nodeElement(node) {
  const element = svg("g", {
    class: `node ${node.kind}`,
    role: "option",
    "aria-label": node.note ? `${node.title}, ${node.note}` : `${node.title}, no result`,
    transform: `translate(${MARGIN + node.column * PITCH.x} ${MARGIN + node.row * PITCH.y})`,
  });
  element.append(
    svg("rect", { width: BOX.width, height: BOX.height, rx: 6 }),
    svg("text", { class: "title", x: 9, y: node.note ? 16 : 23 }, node.title),
  );
  if (node.note) element.append(svg("text", { x: 9, y: 31, ...squeezed(node.note) }, node.note));
  return element;
}

// Text that may be wider than the box, whatever font there is, is made as wide as it.
function squeezed(text) {
  return text.length > 16 ? { textLength: BOX.width - 18, lengthAdjust: "spacingAndGlyphs" } : {};
}

function lines(data, isDrawn) {
  return data.edges.filter(isDrawn).map(([from, to]) => line(data.nodes[from], data.nodes[to])).join("");
}

// Along the row of what is read, then over to the row of what reads it.
function line(from, to) {
  const x1 = MARGIN + from.column * PITCH.x + BOX.width;
  const y1 = MARGIN + from.row * PITCH.y + BOX.height / 2;
  const x2 = MARGIN + to.column * PITCH.x;
  const y2 = MARGIN + to.row * PITCH.y + BOX.height / 2;
  const bend = (PITCH.x - BOX.width) * 0.6;
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

// The records that each reads and those that read it, the ones in its own row first.
function linked(data) {
  const before = data.nodes.map(() => []);
  const after = data.nodes.map(() => []);
  for (const [from, to] of data.edges) {
    before[to].push(from);
    after[from].push(to);
  }
  const far = (one, other) => Math.abs(data.nodes[one].row - data.nodes[other].row) + Math.abs(data.nodes[one].column - data.nodes[other].column);
  for (const lists of [before, after]) {
    lists.forEach((list, index) => list.sort((one, other) => far(one, index) - far(other, index)));
  }
  return { before, after };
}
