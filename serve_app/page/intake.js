// The ways a frame comes in: chosen, dropped, pasted, or one of the samples that the server offers.

import { getJson, Problem, ROOT } from "./answer.js";

// page: {file, samples, sampleList} elements. onFrame(File), onProblem(Problem).
export function createIntake(page, { onFrame, onProblem }) {
  function take(files) {
    const file = [...files].find((candidate) => candidate.type.startsWith("image/") || candidate.type === "");
    if (file) onFrame(file);
    else onProblem(new Problem("That is not an image", "Give a JPEG, PNG or other image file."));
  }

  page.file.addEventListener("change", () => {
    if (page.file.files.length) take(page.file.files);
    page.file.value = ""; // the same file can be chosen again
  });

  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });

  const setDragging = (isDragging) => document.body.classList.toggle("dragging", isDragging);
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else the browser would leave this page to show the file
    setDragging(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) setDragging(false);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    setDragging(false);
    take(event.dataTransfer?.files ?? []);
  });

  async function useSample({ name, url }) {
    try {
      const response = await fetch(new URL(url, ROOT));
      if (!response.ok) throw new Error(`status ${response.status}`);
      const blob = await response.blob();
      onFrame(new File([blob], name, { type: blob.type }));
    } catch (error) {
      onProblem(new Problem("The sample frame cannot be had", `${name}: ${error.message}`));
    }
  }

  // A server without samples is a proper server: the section stays hidden.
  async function offerSamples() {
    const samples = await getJson("v1/samples").catch(() => []);
    if (!Array.isArray(samples) || samples.length === 0) return;
    page.sampleList.replaceChildren(...samples.map((sample) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const image = document.createElement("img");
      button.type = "button";
      button.title = sample.name;
      image.src = new URL(sample.url, ROOT);
      image.alt = `Sample ${sample.name}`;
      button.append(image);
      button.addEventListener("click", () => useSample(sample));
      item.append(button);
      return item;
    }));
    page.samples.hidden = false;
  }

  return { offerSamples };
}
