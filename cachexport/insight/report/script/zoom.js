// Zooming changes the size of the picture, and the view around it scrolls as anything does.

const READABLE = 0.8;

function tools(view, picture, size) {
  let scale = 1;

  function zoom(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const before = scale;
    scale = Math.min(Math.max(wanted, least()), 2);
    const left = ((view.scrollLeft + x) * scale) / before - x;
    const top = ((view.scrollTop + y) * scale) / before - y;
    picture.setAttribute("width", size.width * scale);
    picture.setAttribute("height", size.height * scale);
    picture.classList.toggle("far", scale < 0.5);
    view.scrollTo(left, top);
  }

  function whole() {
    return Math.min(1, (view.clientWidth - 2) / size.width, (view.clientHeight - 2) / size.height);
  }

  // All of it if that can be read; else a screenful of what can, or of the shape of a large one.
  function begin() {
    const high = view.clientHeight;
    const filled = Math.min(1, Math.max(view.clientWidth / size.width, high / size.height));
    zoom(size.height * READABLE <= high ? Math.max(whole(), READABLE) : filled);
    view.style.height = `${Math.min(high, size.height * scale + 2 + view.offsetHeight - high)}px`;
  }

  function least() {
    return Math.min(whole(), 0.5);
  }

  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "=") zoom(scale * 1.4);
    if (event.key === "-") zoom(scale / 1.4);
  });
  dragged(view);

  let isPlaced = false;
  new ResizeObserver(() => {
    if (isPlaced || view.clientWidth === 0) return;
    isPlaced = true;
    begin();
  }).observe(view);

  return html("div", { class: "tools", role: "group", "aria-label": "Zoom" },
    button("\u2212", "Zoom out", () => zoom(scale / 1.4)),
    button("+", "Zoom in", () => zoom(scale * 1.4)),
    button("Whole graph", "Whole graph", () => zoom(whole())));
}

function button(text, label, pressed) {
  const element = html("button", { type: "button", "aria-label": label }, text);
  element.addEventListener("click", pressed);
  return element;
}

// A mouse drags the picture; fingers scroll it anyway.
function dragged(view) {
  let start;
  view.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0 || event.target.closest("[role=option]")) return;
    start = { x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop };
    view.setPointerCapture(event.pointerId);
    view.classList.add("held");
  });
  view.addEventListener("pointermove", (event) => {
    if (start) view.scrollTo(start.x - event.clientX, start.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    view.addEventListener(end, () => {
      start = undefined;
      view.classList.remove("held");
    });
  }
}
