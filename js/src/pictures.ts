/* A picture, whatever it comes as -> pixels. The browser decodes; EXIF orientation is applied; transparent pixels are laid
   on white. Leaves out: faces. */

import { MienError, type Pixels } from "./types.js";

/** What can be predicted: an element that shows a picture, an encoded picture, or pixels. */
export type Picture = Blob | ImageData | Pixels | ImageBitmap | HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | VideoFrame;

const MAX_PIXELS = 50_000_000;

/** The pixels of a picture. `longest`: the longer side is brought down to that, by the browser, which is fast. */
export async function pixelsOf(picture: Picture, longest?: number): Promise<Pixels> {
  if (isPixels(picture)) return checked(picture);
  if (typeof Blob !== "undefined" && picture instanceof Blob) {
    const bitmap = await decoded(picture);
    try {
      return drawn(bitmap, bitmap.width, bitmap.height, longest);
    } finally {
      bitmap.close();
    }
  }
  const source = picture as Exclude<Picture, Blob | Pixels>;
  const [width, height] = sides(source);
  if (!(width > 0 && height > 0)) {
    throw new MienError(`image must be a Blob, pixels, or an element that shows a picture already, got ${String(picture)}`);
  }
  return drawn(source as CanvasImageSource, width, height, longest);
}

function isPixels(picture: object): picture is Pixels {
  return "data" in picture && ArrayBuffer.isView(picture.data) && "width" in picture;
}

function checked(pixels: Pixels): Pixels {
  const { width, height, data } = pixels;
  if (width * height > 0 && data.length === 4 * width * height) return pixels;
  throw new MienError(`pixels must be RGBA, ${4 * width * height} values for ${width} x ${height}, got ${data.length}`);
}

async function decoded(blob: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    const kind = blob.type ? ` (${blob.type})` : "";
    throw new MienError(`this browser cannot read it as a picture${kind}: it is damaged, cut short, or of a kind that it does not know`);
  }
}

function sides(source: object): [number, number] {
  const of = source as Record<string, number>;
  return [
    of.naturalWidth ?? of.videoWidth ?? of.displayWidth ?? of.width, of.naturalHeight ?? of.videoHeight ?? of.displayHeight ?? of.height,
  ];
}

function drawn(source: CanvasImageSource, width: number, height: number, longest = Infinity): Pixels {
  if (width * height > MAX_PIXELS) {
    throw new MienError(`${width} x ${height} pixels are over the limit of ${MAX_PIXELS.toLocaleString("en")}; make it smaller`);
  }
  const ratio = Math.min(1, longest / Math.max(width, height));
  const [w, h] = [width, height].map((n) => Math.max(1, Math.round(n * ratio)));
  const pen = paper(w, h).getContext("2d", { alpha: false, willReadFrequently: true }) as CanvasRenderingContext2D | null;
  if (!pen) throw new MienError("this browser gives no canvas to read pixels from");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, w, h);
  pen.drawImage(source, 0, 0, w, h);
  return pen.getImageData(0, 0, w, h);
}

function paper(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}
