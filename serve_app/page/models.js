// The list of models and the one that is chosen, kept in step with the server. Knows nothing of frames.

import { getJson } from "./answer.js";

const REFRESH_MS = 3000;
const REMOVED = "removed";
const WORDS = {
  ready: "ready",
  asleep: "asleep, wakes on demand",
  starting: "starting",
  unhealthy: "unhealthy",
  failed: "failed",
  stopping: "stopping",
  [REMOVED]: "removed",
};

// page: {models, noModels, connection, about, facts} elements. onChange(record or null) is told of every
// change of the choice or of the chosen model's record. Returns {chosen, firstLook, refresh}: the record of the choice
// or null, a promise that is kept when the server was asked for its models once, and a function that asks again.
export function createModelList(page, onChange) {
  const entries = new Map(); // name -> {element, record, ...parts}
  let chosenName = null;
  let lastFacts = "";

  const chosen = () => entries.get(chosenName)?.record ?? null;

  function choose(name) {
    const previous = entries.get(chosenName);
    chosenName = name;
    entries.get(name).input.checked = true;
    if (previous?.record.state === REMOVED && previous.name !== name) discard(previous);
    describe();
  }

  function discard(entry) {
    entry.element.remove();
    entries.delete(entry.name);
  }

  function show(listing) {
    const models = Array.isArray(listing.models) ? listing.models : [];
    const names = models.map((record) => record.name);
    for (const [name, entry] of entries) if (!names.includes(name)) letGo(entry);
    models.forEach(put);
    if (chosenName === null && names.length) {
      choose(names.includes(listing.default_model) ? listing.default_model : names[0]);
    }
    page.noModels.hidden = entries.size > 0;
    page.noModels.textContent = "No model is running. Add one with: make add MODEL=block.yaml";
    describe();
  }

  function put(record, at) {
    const entry = entries.get(record.name) ?? createEntry(record.name, () => choose(record.name));
    entries.set(record.name, entry);
    entry.record = record;
    fill(entry);
    // Moving an element takes the focus from it, so it moves only when it has to.
    const there = page.models.children[at] ?? null;
    if (entry.element !== there) page.models.insertBefore(entry.element, there);
  }

  // A model that goes must not change what was chosen: its entry stays while it is the choice.
  function letGo(entry) {
    if (entry.name !== chosenName) return discard(entry);
    entry.record = { ...entry.record, state: REMOVED, reason: "It is no longer on this server." };
    fill(entry);
  }

  function describe() {
    const record = chosen();
    page.about.hidden = record === null;
    const facts = JSON.stringify(record);
    if (facts === lastFacts) return;
    lastFacts = facts;
    if (record) page.facts.replaceChildren(...factsOf(record));
    onChange(record);
  }

  async function refresh() {
    try {
      show(await getJson("v1/models"));
      page.connection.textContent = "Connected";
      page.connection.dataset.state = "ready";
    } catch (error) {
      const needsKey = error.status === 401;
      page.connection.textContent = needsKey ? "A key is needed" : "The server does not answer; trying again";
      page.connection.dataset.state = "failed";
    }
  }

  async function keepFresh() {
    if (document.visibilityState === "visible") await refresh();
    setTimeout(keepFresh, REFRESH_MS);
  }

  const firstLook = refresh();
  setTimeout(keepFresh, REFRESH_MS);

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refresh();
  });
  return { chosen, firstLook, refresh };
}

function createEntry(name, onChosen) {
  const element = document.createElement("label");
  element.className = "model";
  element.innerHTML = `<input type="radio" name="model"><span class="name"></span>
    <span class="state"></span><span class="description"></span><span class="reason"></span>`;
  const part = (selector) => element.querySelector(selector);
  const input = part("input");
  input.value = name;
  input.addEventListener("change", onChosen);
  part(".name").textContent = name;
  return {
    name, element, input, record: null,
    state: part(".state"), description: part(".description"), reason: part(".reason"),
  };
}

function fill(entry) {
  const { state, description, reason } = entry.record;
  entry.element.dataset.state = state;
  setText(entry.state, WORDS[state] ?? state);
  setText(entry.description, description ?? "");
  setText(entry.reason, state === "ready" ? "" : reason ?? "");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function factsOf(record) {
  const labels = record.labels
    ? `${record.labels.length}: ${record.labels.join(", ")}` : "not declared";
  const facts = {
    Family: record.family, Revision: record.revision, Licence: record.licence,
    Queues: record.queues?.join(", "), Replicas: String(record.replicas ?? ""), Labels: labels,
  };
  return Object.entries(facts).filter(([, value]) => value).flatMap(([term, value]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = value;
    return [dt, dd];
  });
}
