// The image and the boxes over it. Boxes are placed in per cent of the image, so that they stay right and
// sharp at any size of the window and any pixel ratio without being drawn again.

import { colourOf } from "./colours.js";
import { asStored } from "./stored.js";

// page: {drop, frame, canvas, image, boxes, noImage, caption, crowded} elements.
// onHover(index or null), onPin(index): the pointer is over a box, a box was clicked.
export function createFrame(page, { onHover, onPin }) {
  const { image, boxes, canvas } = page;
  let url = null;
  let turn = 0; // counts the frames, to know the newest
  let isShown = false;

  // Shows the image in `file`, or says so when the browser cannot decode it (TIFF, say).
  async function show(file) {
    const mine = (turn += 1);
    isShown = false;
    draw([]);
    const stored = await asStored(file);
    if (mine !== turn) return; // a newer frame came in meanwhile
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(stored);
    page.drop.hidden = true;
    page.frame.hidden = false;
    image.src = url;
    const isDecoded = await image.decode().then(() => true, () => false);
    if (mine !== turn) return;
    isShown = isDecoded;
    canvas.hidden = !isShown;
    page.noImage.hidden = isShown;
    if (isShown) canvas.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    const size = isShown ? `, ${image.naturalWidth} x ${image.naturalHeight} px` : "";
    page.caption.textContent = `${file.name || "Pasted frame"}${size}`;
    image.alt = `Frame ${file.name || ""}`;
  }

  function draw(detections) {
    const boxed = isShown ? detections.filter((detection) => detection.box) : [];
    // The smallest last, so that a box inside another one can still be pointed at.
    boxed.sort((a, b) => areaOf(b.box) - areaOf(a.box));
    boxes.replaceChildren(...boxed.map(elementOf));
    placeTags();
  }

  // A tag is left out where it would lie over the tag of a better detection; index 0 is the best.
  function placeTags() {
    const placed = [];
    const right = boxes.getBoundingClientRect().right;
    const elements = [...boxes.children].sort((a, b) => a.dataset.index - b.dataset.index);
    boxes.querySelectorAll(".tag-right").forEach((element) => element.classList.remove("tag-right"));
    for (const element of elements) {
      const isCutOff = element.firstElementChild.getBoundingClientRect().right > right;
      element.classList.toggle("tag-right", isCutOff);
    }
    const places = elements.map((element) => element.firstElementChild.getBoundingClientRect());
    elements.forEach((element, at) => {
      const isCovered = placed.some((place) => overlaps(place, places[at]));
      element.classList.toggle("covered", isCovered);
      if (!isCovered) placed.push(places[at]);
    });
    page.crowded.hidden = placed.length === elements.length;
  }

  function elementOf({ index, label, score, box: [x1, y1, x2, y2] }) {
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const element = document.createElement("div");
    element.className = "box";
    element.dataset.index = index;
    Object.assign(element.style, {
      left: `${100 * x1 / width}%`, top: `${100 * y1 / height}%`,
      width: `${100 * (x2 - x1) / width}%`, height: `${100 * (y2 - y1) / height}%`,
    });
    element.style.setProperty("--colour", colourOf(label));
    element.classList.toggle("tag-inside", y1 / height < 0.06);
    const tag = document.createElement("span");
    tag.textContent = `${label} ${score.toFixed(2)}`;
    element.append(tag);
    element.addEventListener("pointerenter", () => onHover(index));
    element.addEventListener("pointerleave", () => onHover(null));
    element.addEventListener("click", () => onPin(index));
    return element;
  }

  function highlight(index) {
    boxes.classList.toggle("has-lit", index !== null);
    for (const element of boxes.children) {
      element.classList.toggle("lit", Number(element.dataset.index) === index);
    }
  }

  const showTags = (isWanted) => boxes.classList.toggle("no-tags", !isWanted);
  new ResizeObserver(placeTags).observe(boxes);
  return { show, draw, highlight, showTags };
}

const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const areaOf = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
