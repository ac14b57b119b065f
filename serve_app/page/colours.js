// One colour for each label, the same on the frame and in the list, handed out in the order of appearance.

const COLOURS = ["#4fe3d2", "#ffb454", "#ff8fc0", "#9ecbff", "#c8f169", "#d6b3ff", "#ff9f80", "#f5e663"];
const given = new Map();

export function colourOf(label) {
  if (!given.has(label)) given.set(label, COLOURS[given.size % COLOURS.length]);
  return given.get(label);
}
