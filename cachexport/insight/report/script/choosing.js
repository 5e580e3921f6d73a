// Of many elements in a plane one is chosen: by focus, by pointer, or by arrow keys from another.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// `spots` have x and y, of their middles, and an element; `panel` is the id of what describes it. `show(index)` tells of one; `follow(index,
// key)` may say where a key leads, else it is the nearest spot on that side.
function choosing(container, spots, panel, show, follow = () => undefined) {
  const numbers = new Map(spots.map((spot, index) => [spot.element, index]));
  let chosen = 0;

  function choose(index) {
    spots[chosen].element.setAttribute("tabindex", "-1");
    spots[chosen].element.setAttribute("aria-selected", "false");
    spots[chosen].element.removeAttribute("aria-describedby");
    chosen = index;
    spots[chosen].element.setAttribute("tabindex", "0");
    spots[chosen].element.setAttribute("aria-selected", "true");
    spots[chosen].element.setAttribute("aria-describedby", panel);
    show(chosen);
  }

  function at(event) {
    const element = event.target.closest("[role=option]");
    return element === null ? undefined : numbers.get(element);
  }

  container.addEventListener("focusin", (event) => {
    const index = at(event);
    if (index !== undefined) choose(index);
  });
  container.addEventListener("pointerover", (event) => {
    const index = at(event);
    show(index === undefined ? chosen : index);
  });
  container.addEventListener("pointerleave", () => show(chosen));
  container.addEventListener("click", (event) => {
    const index = at(event);
    if (index !== undefined) spots[index].element.focus({ preventScroll: true });
  });
  container.addEventListener("keydown", (event) => {
    if (at(event) === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = led(event.key);
    if (index === undefined) return;
    event.preventDefault();
    spots[index].element.focus();
  });

  function led(key) {
    if (key === "Home") return 0;
    if (key === "End") return spots.length - 1;
    if (key === "PageDown") return Math.min(chosen + 1, spots.length - 1);
    if (key === "PageUp") return Math.max(chosen - 1, 0);
    if (!(key in ARROWS)) return undefined;
    return follow(chosen, key) ?? nearest(spots, chosen, ARROWS[key]) ?? chosen;
  }

  spots.forEach(({ element }) => element.setAttribute("tabindex", "-1"));
  choose(0);
}

function nearest(spots, from, [right, down]) {
  let best;
  let least = Infinity;
  for (const [index, spot] of spots.entries()) {
    const x = spot.x - spots[from].x;
    const y = spot.y - spots[from].y;
    const along = x * right + y * down;
    const aside = Math.abs(x * down) + Math.abs(y * right);
    const cost = along + 2 * aside;
    if (along > 0.5 && cost < least) {
      least = cost;
      best = index;
    }
  }
  return best;
}
