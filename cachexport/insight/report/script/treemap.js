// Layers as areas, in a group for each cache where there are several.

const HEADING = 22;
const GAP = 2;

function drawTreemap(container, groups) {
  const panel = container.parentElement.querySelector(".details");
  const cells = groups.flatMap((group) => group.cells);
  const spots = cells.map((cell) => ({ x: 0, y: 0, element: cellElement(cell) }));
  const headings = groups.map((group) => html("div", { class: "group", "aria-hidden": "true" }, group.title ? `${group.title}, ${group.note}` : ""));
  container.append(...headings, ...spots.map((spot) => spot.element));
  choosing(container, spots, panel.id, (index) => tell(panel, cells[index]));

  let drawnFor = 0;
  function arrange() {
    const width = container.clientWidth;
    if (width === 0 || width === drawnFor) return;
    drawnFor = width;
    const height = Math.round(Math.max(width * (width < 600 ? 1.15 : 0.5), 300));
    container.style.height = `${height}px`;
    const boxes = squarify(groups.map((group) => Math.max(group.bytes, 1)), { x: 0, y: 0, width, height });
    let first = 0;
    groups.forEach((group, index) => {
      const inner = group.title ? below(headings[index], boxes[index], width, height) : boxes[index];
      const areas = squarify(group.cells.map((cell) => Math.max(cell.bytes, 1)), inner);
      areas.forEach((area, offset) => put(spots[first + offset], area, width, height));
      first += areas.length;
    });
  }
  new ResizeObserver(arrange).observe(container);
  arrange();
}

function cellElement(cell) {
  const element = html("div", { class: `cell ${cell.kind}`, role: "option", "aria-label": described(cell) });
  element.append(html("span", {}, cell.title), html("span", {}, cell.note), html("span", { class: "word" }, cell.kind));
  return element;
}

// Puts a heading on top of a group's box, if it is high enough, and gives the rest.
function below(heading, box, width, height) {
  const room = Math.min(HEADING, box.height / 3);
  heading.hidden = room < HEADING;
  place(heading, { ...box, height: room }, width, height);
  return { ...box, y: box.y + room, height: box.height - room };
}

function put(spot, box, width, height) {
  spot.x = box.x + box.width / 2;
  spot.y = box.y + box.height / 2;
  const isSmall = box.width < 56 || box.height < 22;
  spot.element.classList.toggle("small", isSmall);
  const gap = isSmall ? 0 : GAP;
  place(spot.element, { ...box, width: Math.max(box.width - gap, 0), height: Math.max(box.height - gap, 0) }, width, height);
}

// Shares of the whole, not pixels: what is printed on narrower paper keeps its shape.
function place(element, box, width, height) {
  element.style.left = `${(100 * box.x) / width}%`;
  element.style.top = `${(100 * box.y) / height}%`;
  element.style.width = `${(100 * box.width) / width}%`;
  element.style.height = `${(100 * box.height) / height}%`;
}
