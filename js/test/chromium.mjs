/* A real Chromium with a clean profile and a film for a webcam, a server on this machine, and the examples of docs/browser.md. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { folder } from "./golden.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json" };
const browser = ["chromium", "chromium-browser", "google-chrome"].map(which).find(Boolean);

export const SITE = new URL("../dist/", import.meta.url).pathname;
export const PATIENCE = { timeout: 90_000 };

/** Why these tests cannot run here, or false. */
export const skip = !browser ? "there is no Chromium here" : !existsSync(SITE) ? "make web has not built js/dist" : !folder ? "MIEN_GOLDEN names no folder" : false;

function which(name) {
  try {
    return execFileSync("which", [name], { encoding: "utf8" }).trim();
  } catch {
    return "";
  }
}

// of a page that may share memory between threads
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** A browser, and a server for what `served(path)` gives, null for what is not there; what lies below isolated/ is that. */
export async function open(served) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const body = await served(path);
    if (body === null) return response.writeHead(404).end();
    const more = path.startsWith("/isolated/") ? ISOLATED : {};
    response.writeHead(200, { "Content-Type": TYPES[extname(path || "/")] ?? "text/html", ...more }).end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const profile = mkdtempSync(join(tmpdir(), "mien-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browser,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${join(folder, "webcam.mjpeg")}`],
  });
  const close = async () => {
    await context.close();
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { server, context, close, address: `http://127.0.0.1:${server.address().port}/` };
}

/** The first example in docs/browser.md that is written in a language and holds a word. */
export function example(language, word) {
  const text = readFileSync(new URL("../../docs/browser.md", import.meta.url), "utf8");
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((found) => found[1]).find((code) => code.includes(word));
}
