// Elements are made here, and text is set as text: nothing of a cache ever becomes HTML.

const SVG = "http://www.w3.org/2000/svg";

function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function tell(panel, item) {
  const list = html("dl");
  for (const [term, text] of item.facts) {
    const told = html("dd", term === "Digest" ? { class: "mono" } : {}, text);
    list.append(html("div", {}, html("dt", {}, term), told));
  }
  panel.replaceChildren(html("p", { class: "name" }, item.title), list);
}

function described(item) {
  return [item.title, item.note, item.kind].filter(Boolean).join(", ");
}
