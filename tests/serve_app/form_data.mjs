// fetch and FormData of a browser, as Node has them. Usage: node form_data.mjs BASE IMAGE. Prints a JSON object for each
// request: what was asked, the status, and the body as a page reads it that never looks at the status.

import { readFile } from "node:fs/promises";

const [base, image] = process.argv.slice(2);
const content = await readFile(image);

async function say(what, path, body, headers = {}) {
  const answer = await fetch(base + path, { method: "POST", body, headers, redirect: "error" });
  console.log(JSON.stringify({ what, status: answer.status, body: await answer.json() }));
}

function form(fields, ...files) {
  const found = new FormData();
  for (const [name, file, fileName] of files) {
    found.append(name, file, ...(fileName ? [fileName] : []));
  }
  for (const [name, value] of fields) {
    found.append(name, value);
  }
  return found;
}

const blob = new Blob([content], { type: "image/png" });
const legacy = [["model_type", "image_queue_yolov5"]];
await say("blob", "/predictor/", form(legacy, ["file", blob]));
await say("file", "/predictor/", form(legacy, ["file", new File([content], "räme.png"), "rähme.png"]));
await say("several", "/v1/models/benthic-demo/predict", form([["max_detections", "1"]], ["image", blob], ["image", blob]));
await say("text in a blob", "/v1/models/benthic-demo/predict", form([["max_detections", new Blob(["1"])]], ["file", blob]));
await say("raw blob", "/v1/models/benthic-demo/predict", blob);
await say("stream", "/v1/models/benthic-demo/predict?max_detections=1", content, { "content-type": "image/png" });
await say("no image", "/predictor/", form(legacy));
await say("no image for /v1", "/v1/models/benthic-demo/predict", form([["max_detections", "1"]]));
await say("no such model", "/predictor/", form([["model_type", "nobody"]], ["file", blob]));
