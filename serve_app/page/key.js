// The API key, where the server asks for one. It is kept for this tab only, and goes when the tab is closed.

const PLACE = "fathom-api-key";
const WRONG = "This key is not valid";
let memory = ""; // where a browser forbids storage, the key lives as long as the page
let onRefused = () => {};

// `fetch` with the key. An answer that asks for one shows the form; it is the caller's all the same.
export async function fetchWithKey(url, options = {}) {
  const key = stored();
  const headers = key ? { ...options.headers, "X-API-Key": key } : options.headers;
  const response = await fetch(url, { ...options, headers });
  if (response.status === 401 && key === stored()) onRefused(key !== "");
  return response;
}

// page: {key, keyInput, keyTitle} elements. onGiven(): a key was given; whoever was refused may ask again.
export function createKeyForm(page, onGiven) {
  onRefused = (hadOne) => {
    page.keyTitle.textContent = hadOne ? WRONG : "This server asks for a key";
    if (!page.key.hidden) return; // it stays as it is while someone types
    page.key.hidden = false;
    page.keyInput.focus();
  };
  page.key.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = page.keyInput.value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) { // nothing that a header could hold
      page.keyTitle.textContent = WRONG;
      return;
    }
    store(given);
    page.keyInput.value = "";
    page.key.hidden = true;
    onGiven();
  });
}

function stored() {
  try {
    return sessionStorage.getItem(PLACE) ?? memory;
  } catch {
    return memory;
  }
}

function store(key) {
  memory = key;
  try {
    sessionStorage.setItem(PLACE, key);
  } catch {
    // Only until the page is left, then.
  }
}
