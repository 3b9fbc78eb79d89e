// What the page is told: the state by server-sent events, with the token in a header, and what it asks for.

const KEY = "dunlin-admin-token";

/** Refused for its token. */
export class Locked extends Error {}

const headers = () => {
  const token = sessionStorage.getItem(KEY);
  return token ? { authorization: `Bearer ${token}` } : {};
};

/** Keeps the token for as long as the tab is open. */
export function unlock(token) {
  sessionStorage.setItem(KEY, token.trim());
}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (response.status === 401) throw new Locked();
  return response;
}

/** Asks for something to read. */
export async function read(path) {
  const response = await ask(path);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** Asks for something to be done, and gives the sentence that says what became of it. */
export async function act(action, about) {
  const response = await ask(`api/do/${action}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-dunlin-change": "1" },
    body: JSON.stringify(about),
  });
  const answer = await response.json().catch(() => ({ said: `refused: ${response.status}` }));
  return answer.said;
}

/** Calls `tell` with each state until the connection ends. EventSource cannot send a token, so the stream is read here. */
export async function follow(tell, signal) {
  const response = await ask("api/events", { signal });
  if (!response.ok) throw new Error(await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length) tell(JSON.parse(lines.map((line) => line.slice(5)).join("\n")));
    }
  }
}
