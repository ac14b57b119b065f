// The list of detections: what the boxes say, for eyes, keyboards and screen readers.

import { colourOf } from "./colours.js";

// list: an <ol>. onHover(index or null), onPin(index) as in frame.js.
export function createDetectionList(list, { onHover, onPin }) {
  function draw(detections) {
    list.replaceChildren(...detections.map(rowOf));
    if (list.firstElementChild) list.firstElementChild.firstElementChild.tabIndex = 0;
  }

  function rowOf({ index, label, score, box }) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "row";
    button.dataset.index = index;
    button.tabIndex = -1; // one stop for the whole list; arrows move inside it
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", wordsFor(label, score, box));
    button.style.setProperty("--colour", colourOf(label));
    button.style.setProperty("--score", score);
    button.append(span("swatch", ""), span("label", label), span("score", score.toFixed(2)),
      span("corners", box ? cornersOf(box) : ""));
    button.addEventListener("pointerenter", () => onHover(index));
    button.addEventListener("pointerleave", () => onHover(null));
    button.addEventListener("focus", () => onHover(index));
    button.addEventListener("blur", () => onHover(null));
    button.addEventListener("click", () => onPin(index));
    item.append(button);
    return item;
  }

  function highlight(index, { isPinned, isFromFrame }) {
    for (const button of list.querySelectorAll(".row")) {
      const isLit = Number(button.dataset.index) === index;
      button.classList.toggle("lit", isLit);
      button.setAttribute("aria-pressed", String(isLit && isPinned));
      if (isLit && isFromFrame) button.scrollIntoView({ block: "nearest" });
    }
  }

  list.addEventListener("keydown", (event) => {
    const rows = [...list.querySelectorAll(".row")];
    const at = rows.indexOf(document.activeElement);
    const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    const next = rows[Math.max(0, Math.min(rows.length - 1, target))];
    rows[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  return { draw, highlight };
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

const cornersOf = (box) => {
  const [x1, y1, x2, y2] = box.map((value) => Math.round(value));
  return `${x1}, ${y1} \u2013 ${x2}, ${y2}`;
};

function wordsFor(label, score, box) {
  if (!box) return `${label}, score ${score.toFixed(2)}`;
  const [x1, y1, x2, y2] = box.map((value) => Math.round(value));
  return `${label}, score ${score.toFixed(2)}, box from x ${x1}, y ${y1} to x ${x2}, y ${y2}`;
}
