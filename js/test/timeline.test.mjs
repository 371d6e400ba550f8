/* The webcam's history as CSV. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "../../src/mien/web/page/timeline.js";

globalThis.ResizeObserver = class { observe() {} }; // nothing is drawn here

test("negative numbers of the webcam's CSV are numbers, labels that look like formulas are marked as text", () => {
  const timeline = new Timeline(null, ["happy", "sad"]);
  timeline.rows.push({ time: -0.0001, number: 1, label: "=1+1", raw: [0.75, 0.25], box: [-12.34, -0.04, 30, 41.06], usable: true });
  const [head, row] = timeline.csv().trim().split("\n");
  assert.equal(head, "time,face,label,happy,sad,left,top,right,bottom,usable");
  assert.equal(row, "0,1,'=1+1,0.75,0.25,-12.3,0,30,41.1,1");
});
