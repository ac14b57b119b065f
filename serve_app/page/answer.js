// What the server says, and how a question to it is put. Knows nothing of what is on the screen.

import { fetchWithKey } from "./key.js";

// This file lies in static/, so the root of the server, behind whatever prefix, is one folder up.
export const ROOT = new URL("../", import.meta.url);

// A failure in words for people: a short title and one sentence of detail.
export class Problem extends Error {
  constructor(title, detail, status = 0) {
    super(detail);
    this.title = title;
    this.status = status; // of the answer; 0 where there was none
  }
}

export async function getJson(path) {
  const response = await fetchWithKey(new URL(path, ROOT), { headers: { Accept: "application/json" } });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

// The answer of `model` for the image in `file`. Throws Problem; AbortError when `signal` fires.
export async function predict(model, file, signal) {
  const form = new FormData();
  form.append("model_type", model);
  form.append("file", file, file.name || "frame.png");
  let response;
  try {
    response = await fetchWithKey(new URL("predictor/", ROOT), {
      method: "POST", body: form, signal, headers: { Accept: "application/json" },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("No answer from the server",
      "It cannot be reached, or it closed the connection while the frame was being sent.");
  }
  if (!response.ok) throw await problemOf(response);
  const answer = await readJson(response);
  if (!answer || answer.success !== true) throw problemFrom(answer, response);
  return answer;
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

async function problemOf(response) {
  return problemFrom(await readJson(response), response);
}

function problemFrom(body, response) {
  const title = typeof body?.title === "string" ? body.title : `The server answered ${response.status}`;
  const wait = response.headers.get("Retry-After");
  const again = /^\d+$/.test(wait ?? "") ? ` Try again in ${wait} s.` : "";
  return new Problem(title, (wordsOf(body?.detail) || "It gave no explanation.") + again, response.status);
}

function wordsOf(detail) {
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return "";
  return detail.map((entry) => entry?.msg ?? "").filter(Boolean).join("; ");
}

// Rows of {index, label, score, box}, or null when the answer has a shape of its own (an external worker's).
// box: [x1, y1, x2, y2] in pixels of the image, or null for a classifier.
export function readDetections(predictions, labels) {
  if (!Array.isArray(predictions)) return null;
  const only = predictions[0];
  if (predictions.length === 1 && only?.category_id === undefined && areNumbers(only?.scores)) {
    return only.scores
      .map((score, at) => ({ label: labels?.[at] ?? `class ${at}`, score, box: null }))
      .sort((a, b) => b.score - a.score)
      .map((row, index) => ({ index, ...row }));
  }
  const isDetection = (row) => typeof row?.category_id === "string" && areNumbers(row.scores)
    && row.scores.length > 0 && areNumbers(row.bbox) && row.bbox.length === 4;
  if (!predictions.every(isDetection)) return null;
  return predictions.map((row, index) => ({
    index, label: row.category_id, score: row.scores[0], box: inOrder(row.bbox),
  }));
}

const areNumbers = (values) => Array.isArray(values) && values.every(Number.isFinite);
const inOrder = ([x1, y1, x2, y2]) =>
  [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
