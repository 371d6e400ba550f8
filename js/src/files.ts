/* Reads a model's files from the page's own server, and holds them to what its `NAME.json` says of them. Leaves out: what the
   networks compute. */

import { shown } from "./options.js";
import { MienError, type Spec } from "./types.js";

/** The bytes of a file in the folder of models. */
export type Files = (name: string) => Promise<Uint8Array>;

/** A folder's whole address, ending in "/"; a relative one counts from the page. */
export function folderOf(option: string, folder: string): string {
  try {
    return new URL(folder.endsWith("/") ? folder : `${folder}/`, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch {
    throw new MienError(`${option} must be the address of a folder, such as "/mien/", got ${shown(folder)}`);
  }
}

/** Files below an address. */
export function fetched(folder: string): Files {
  const base = folderOf("models", folder);
  return async (name) => {
    const address = new URL(name, base).href;
    const remedy = `copy the folder models/ there, or name its address: Predictor.create({ models: "..." })`;
    try {
      const response = await fetch(address);
      if (!response.ok) throw new MienError(`${address}: status ${response.status}; ${remedy}`);
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      if (error instanceof MienError) throw error;
      throw new MienError(`${address} cannot be loaded (${(error as Error).message}); ${remedy}`, { cause: error });
    }
  };
}

/** What `NAME.json` says of a model. */
export async function described(files: Files, name: string): Promise<Spec> {
  const text = new TextDecoder().decode(await files(`${name}.json`));
  try {
    const about = JSON.parse(text) as Spec;
    if (typeof about.file === "string") return about;
  } catch {
    // told below
  }
  const start = text.trim().slice(0, 20);
  throw new MienError(`${name}.json must say what a model's file is, but begins with ${shown(start)}: a page in its place? copy the folder models/ anew`);
}

/** The file that a model's `NAME.json` names, if it is the one. */
export async function verified(files: Files, { name, file, bytes, sha256 }: Spec): Promise<Uint8Array> {
  const found = await files(file);
  const wrong = (what: string) => new MienError(`${file} ${what}: it is cut short or of another version than ${name}.json; copy the folder models/ anew`);
  if (bytes !== undefined && found.length !== bytes) throw wrong(`has ${found.length} bytes, not ${bytes}`);
  if (sha256 !== undefined && ((await digest(found)) ?? sha256) !== sha256) throw wrong("has other bytes than it should");
  return found;
}

/** The SHA-256 of bytes; null on a page without https, to which browsers do not give it. */
async function digest(bytes: Uint8Array): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const found = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(found), (v) => v.toString(16).padStart(2, "0")).join("");
}
