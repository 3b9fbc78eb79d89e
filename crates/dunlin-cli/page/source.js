// source.js: shows the server's handlers as text with line numbers, coloured by a small tokenizer.

const KEYWORDS = new Set(
  `as async await break const continue crate else enum fn for if impl in let loop match mod move mut pub ref return
  self Self static struct super trait true false type use where while dyn`.split(/\s+/),
);
const TOKEN = new RegExp(
  [
    /(?<comment>\/\/.*)/,
    /(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)')/,
    /(?<attribute>#!?\[[^\]]*\]?)/,
    /(?<word>[A-Za-z_][A-Za-z0-9_]*)/,
  ].map(({ source }) => source).join("|"),
  "g",
);

/** Splits one line of Rust into `{ kind, text }` pieces that together are the line. */
export function tokenize(line) {
  const pieces = [];
  let end = 0;
  for (const match of line.matchAll(TOKEN)) {
    if (match.index > end) pieces.push({ kind: null, text: line.slice(end, match.index) });
    pieces.push({ kind: kindOf(match.groups), text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < line.length) pieces.push({ kind: null, text: line.slice(end) });
  return pieces;
}

function kindOf({ comment, string, attribute, word }) {
  if (comment !== undefined) return "comment";
  if (string !== undefined) return "string";
  if (attribute !== undefined) return "attribute";
  if (KEYWORDS.has(word)) return "keyword";
  return /^[A-Z]/.test(word) ? "type" : null;
}

/** Fetches the source and puts it into a list, one item a line. */
export async function showSource(list, url) {
  let text;
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    text = await answer.text();
  } catch (error) {
    text = `// The source could not be fetched: ${error.message}`;
  }
  list.replaceChildren(...text.trimEnd().split("\n").map(lineElement));
}

function lineElement(line) {
  const item = document.createElement("li");
  const code = document.createElement("code");
  for (const { kind, text } of tokenize(line)) {
    const piece = document.createElement("span");
    if (kind) piece.className = `tok-${kind}`;
    piece.textContent = text;
    code.append(piece);
  }
  item.append(code);
  return item;
}
