/* Reads a model's files from the page's own server. Leaves out: what is in them. */

import { MienError } from "./types.js";

/** The bytes of a file in the folder of models. */
export type Files = (name: string) => Promise<Uint8Array>;

/** Files below an address. */
export function fetched(folder: string): Files {
  return async (name) => {
    const address = new URL(name, new URL(folder.endsWith("/") ? folder : `${folder}/`, globalThis.location?.href));
    const remedy = `copy the folder models/ there, or name its address: Predictor.create({ models: "..." })`;
    const response = await fetch(address).catch((error: Error) => {
      throw new MienError(`${address.href} cannot be loaded (${error.message}); ${remedy}`);
    });
    if (!response.ok) throw new MienError(`${address.href}: status ${response.status}; ${remedy}`);
    return new Uint8Array(await response.arrayBuffer());
  };
}
