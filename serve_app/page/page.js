// The page: what happens when. The parts know themselves; only this file knows all of them.

import { predict, readDetections } from "./answer.js";
import { createDetectionList } from "./detections.js";
import { createFrame } from "./frame.js";
import { createIntake } from "./intake.js";
import { createKeyForm } from "./key.js";
import { createModelList } from "./models.js";

const IDS = ["models", "noModels", "connection", "about", "facts", "samples", "sampleList", "file", "detect",
  "cancel", "status", "elapsed", "problem", "problemTitle", "problemDetail", "drop", "frame", "canvas", "image",
  "boxes", "noImage", "caption", "count", "controls", "threshold", "thresholdValue", "floor", "tags", "list",
  "raw", "copy", "copied", "crowded", "key", "keyInput", "keyTitle"];
const toId = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const page = Object.fromEntries(IDS.map((name) => [name, document.getElementById(toId(name))]));

let file = null; // the frame on the stage
let running = null; // AbortController of the question under way
let answer = null; // the last answer, and its detections (null: a shape of its own)
let detections = [];
let wantedThreshold = 0; // where the slider was moved to; 0: nowhere, so that it follows each model's floor
let pinned = null; // index of the detection that stays lit

const links = {
  onHover: (index) => highlight(index ?? pinned, index !== null),
  onPin: (index) => {
    pinned = pinned === index ? null : index;
    highlight(index);
  },
};
const frame = createFrame(page, links);
const list = createDetectionList(page.list, { ...links, onHover: (index) => highlight(index ?? pinned) });
const models = createModelList(page, followChoice);
const intake = createIntake(page, { onFrame: takeFrame, onProblem: showProblem });

function highlight(index, isFromFrame = false) {
  frame.highlight(index);
  list.highlight(index, { isPinned: pinned !== null && index === pinned, isFromFrame });
}

function followChoice(record) {
  page.detect.disabled = !file || !record || record.state === "removed";
  page.detect.setAttribute("aria-label", record ? `Detect with ${record.name}` : "Detect");
}

async function takeFrame(taken) {
  file = taken;
  running?.abort();
  running = null; // an answer that is still on its way belongs to the frame before
  setBusy(false);
  clearAnswer();
  showProblem(null);
  await Promise.all([frame.show(file), models.firstLook]);
  if (file !== taken) return; // another frame came in meanwhile
  followChoice(models.chosen());
  await ask();
}

async function ask() {
  const model = models.chosen();
  running?.abort();
  if (!model || model.state === "removed") return setStatus("Choose a model, then press Detect.");
  const mine = new AbortController();
  running = mine;
  clearAnswer();
  showProblem(null);
  setBusy(true, model.state === "asleep" ? `Waking ${model.name}` : `Asking ${model.name}`);
  const stopClock = startClock();
  try {
    const given = await predict(model.name, file, mine.signal);
    if (running === mine) showAnswer(given, model);
  } catch (error) {
    if (running !== mine) return; // a newer question has taken over
    if (error.name === "AbortError") setStatus("Cancelled.");
    else showProblem(error);
  } finally {
    stopClock();
    if (running === mine) {
      running = null;
      setBusy(false);
    }
  }
}

function setBusy(isBusy, words = "") {
  document.body.classList.toggle("busy", isBusy);
  page.frame.setAttribute("aria-busy", String(isBusy));
  page.cancel.hidden = !isBusy;
  if (isBusy) setStatus(words);
  else if (page.status.textContent !== "Cancelled.") setStatus("");
}

function setStatus(words) {
  page.status.textContent = words;
}

function startClock() {
  const start_ms = performance.now();
  const tick = () => { page.elapsed.textContent = `${Math.floor((performance.now() - start_ms) / 1000)} s`; };
  const timer = setInterval(tick, 1000);
  return () => {
    clearInterval(timer);
    page.elapsed.textContent = "";
  };
}

function clearAnswer() {
  answer = null;
  detections = [];
  pinned = null;
  frame.draw([]);
  list.draw([]);
  page.controls.hidden = page.copy.hidden = page.raw.hidden = true;
  page.copied.textContent = "";
  page.count.textContent = "Nothing to show yet.";
}

function showAnswer(given, model) {
  answer = given;
  const rows = readDetections(given.predictions, model.labels);
  page.copy.hidden = false;
  if (rows === null) {
    page.raw.textContent = JSON.stringify(given.predictions, null, 2);
    page.raw.hidden = false;
    page.count.textContent = `${model.name} answers in a format of its own:`;
    return;
  }
  detections = rows;
  page.controls.hidden = rows.length === 0;
  // A classifier answers all its scores, whatever its threshold.
  const floor = rows.some((row) => row.box) ? lowestThreshold(model.knobs) : 0;
  page.threshold.min = floor;
  page.threshold.value = Math.max(floor, wantedThreshold);
  page.floor.textContent = floor > 0 ? `The model itself leaves out scores below ${floor.toFixed(2)}.` : "";
  showShown();
}

// One number, or numbers by class.
function lowestThreshold(knobs) {
  const given = knobs?.score_threshold ?? 0;
  return typeof given === "number" ? given : Math.min(...Object.values({ "*": 0.25, ...given }));
}

function shown() {
  return detections.filter((detection) => detection.score >= Number(page.threshold.value));
}

function showShown() {
  const rows = shown();
  page.thresholdValue.textContent = Number(page.threshold.value).toFixed(2);
  if (!rows.some((row) => row.index === pinned)) pinned = null;
  frame.draw(rows);
  list.draw(rows);
  highlight(pinned);
  const by = [answer.model, answer.revision].filter(Boolean).join(", revision ");
  const count = detections.length === 0 ? "Nothing found"
    : rows.length === detections.length ? `${rows.length} found` : `${rows.length} of ${detections.length} shown`;
  page.count.textContent = by ? `${count} by ${by}.` : `${count}.`;
}

function showProblem(problem) {
  page.problem.hidden = problem === null;
  page.problemTitle.textContent = problem ? problem.title ?? "Something went wrong on this page" : "";
  page.problemDetail.textContent = problem?.message ?? "";
}

// The answer as the server gave it, with the detections that are on the screen.
async function copyAnswer() {
  const kept = new Set(shown().map((row) => row.index));
  const isFiltered = kept.size < detections.length && answer.predictions.length === detections.length;
  const predictions = isFiltered ? answer.predictions.filter((_, at) => kept.has(at)) : answer.predictions;
  const isCopied = await copyText(JSON.stringify({ ...answer, predictions }, null, 2));
  page.copied.textContent = isCopied ? "Copied." : "This browser does not allow copying.";
}

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  // Plain HTTP from another machine: browsers offer the clipboard only in this old way.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  page.copy.focus();
  return isCopied;
}

page.detect.addEventListener("click", ask);
page.cancel.addEventListener("click", () => running?.abort());
page.copy.addEventListener("click", copyAnswer);
page.threshold.addEventListener("input", () => {
  const value = Number(page.threshold.value);
  wantedThreshold = value > Number(page.threshold.min) ? value : 0;
  showShown();
});
page.tags.addEventListener("change", () => frame.showTags(page.tags.checked));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (running) running.abort();
  else {
    pinned = null;
    highlight(null);
  }
});

createKeyForm(page, models.refresh);
intake.offerSamples();
