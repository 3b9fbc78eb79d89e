// Makes the book's links right: those that lead out of it go to the repository, and one that leads nowhere fails.
//
// Usage: node .ci/book.mjs target/book https://github.com/dunlin-rs/dunlin

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const [book, repository] = process.argv.slice(2);
const root = resolve(book);
// Where the pages came from, as seen from the repository.
const source = "docs";

/** All pages of a folder. */
function pages(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pages(path);
    return path.endsWith(".html") ? [path] : [];
  });
}

/** The repository's page of a link that leads out of the book, or undefined. mdBook has made `.html` of `.md`. */
function outside(page, target) {
  const inSource = relative(root, resolve(dirname(page), target));
  if (!inSource.startsWith("..")) return undefined;
  const path = join(source, inSource);
  const file = path.replace(/\.html$/, ".md");
  const isThere = existsSync(file) || existsSync(path);
  if (!isThere) return undefined;
  const kind = statSync(existsSync(file) ? file : path).isDirectory() ? "tree" : "blob";
  return `${repository}/${kind}/main/${existsSync(file) ? file : path}`;
}

/** Whether a page has the heading that a link names. */
function hasPlace(path, part) {
  return !path.endsWith(".html") || readFileSync(path, "utf8").includes(`id="${decodeURI(part.slice(1))}"`);
}

const faults = [];
for (const page of pages(root)) {
  const text = readFileSync(page, "utf8");
  const mended = text.replace(/(href|src|srcset)="([^"#]*)(#[^"]*)?"/g, (whole, name, target, part = "") => {
    // Addresses, and what mdBook makes from the root for its page of what is not found.
    if (/^[a-z]+:/.test(target) || target.startsWith("/")) return whole;
    const path = target === "" ? page : resolve(dirname(page), decodeURI(target));
    if (path.startsWith(root) && existsSync(path)) {
      if (part && !hasPlace(path, part)) faults.push(`${relative(root, page)}: ${target} has no ${part}`);
      return whole;
    }
    const there = outside(page, decodeURI(target));
    if (there) return `${name}="${there}${part}"`;
    faults.push(`${relative(root, page)}: the link to ${target} leads nowhere`);
    return whole;
  });
  if (mended !== text) writeFileSync(page, mended);
}

for (const fault of faults) console.error(fault);
console.log(`${pages(root).length} pages, ${faults.length} links that lead nowhere`);
process.exitCode = faults.length ? 1 : 0;
