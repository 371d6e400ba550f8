/* What the static page has in WebGPU's place: its WebAssembly file alone weighs 27 MB. */

export {};
