/* The browser's side says what Python says of 236 pictures and a film: tests/browser/golden.py writes both down anew, and
   MIEN_GOLDEN names the folder. Without it these tests are named as not run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Predictor, toDict } from "../lib/mien.js";
import { files, folder, golden } from "./golden.mjs";

const skip = folder ? false : "MIEN_GOLDEN names no folder: make test-js writes it";
const { model, pictures, film, picture, crop } = folder ? golden() : {};
const create = (options) => Predictor.create({ device: "wasm", files, ...options });
const apart = (a, b) => Math.max(0, ...a.flat().map((v, i) => Math.abs(v - b.flat()[i])));
const values = (of) => Object.values(of);
const quantile = (list, share) => list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(share * list.length))];

/** The label is the same, unless Python itself was undecided between two. */
function sameLabel(said, wanted, where) {
  const [first, second] = values(wanted.probabilities).sort((a, b) => b - a);
  if (first - second > 0.02) assert.equal(said.label, wanted.label, where);
}

/** Of the same crops one in a hundred at most is more than 0.0001 apart (theta or a gate lies between two steps), none more than 0.01. */
function asNear(off, name) {
  assert.ok(off.filter((v) => v > 1e-4).length <= 0.01 * off.length, `${name}: ${off.toSorted((a, b) => b - a).slice(0, 6)}`);
  assert.ok(Math.max(...off) <= 0.01, `${name}, the worst: ${Math.max(...off)}`);
}

/** Whether box and turn, which are rounded to quarters of a pixel and halves of a degree, are the same. */
const samePlace = (said, wanted) => apart(said.box, wanted.box) < 0.01 && Math.abs(said.turn - wanted.turn) < 0.01;

/** Everything of a face but its crop; gives how far the probabilities are apart. */
function sameFace(said, wanted, where) {
  assert.ok(apart(said.box, wanted.box) <= 0.26, `${where}: box ${said.box}, Python ${wanted.box}`);
  assert.ok(apart(said.corners, wanted.corners) <= 1, `${where}: corners`);
  if (wanted.landmarks) assert.ok(apart(said.landmarks, wanted.landmarks) <= 0.1, `${where}: landmarks`);
  assert.ok(Math.abs(said.turn - wanted.turn) <= 0.5, `${where}: turn ${said.turn}, Python ${wanted.turn}`);
  assert.ok(apart(said.attention_window, wanted.attention_window) <= 1.5, `${where}: attention window`);
  for (const angle of ["yaw", "pitch", "roll"]) {
    if (wanted.quality[angle] === null) assert.equal(said.quality[angle], null, where);
    else assert.ok(Math.abs(said.quality[angle] - wanted.quality[angle]) <= 1, `${where}: ${angle}`);
  }
  for (const [name, close] of [["side", 1], ["brightness", 0.5], ["contrast", 0.5], ["sharpness", 0.03]]) {
    assert.ok(Math.abs(said.quality[name] - wanted.quality[name]) <= close, `${where}: ${name}`);
  }
  assert.equal(said.usable, wanted.usable, where);
  assert.deepEqual(Object.keys(said), Object.keys(wanted), `${where}: the fields`);
  assert.deepEqual(Object.keys(said.heads), Object.keys(wanted.heads), where);
  sameLabel(said, wanted, where);
  return apart(values(said.probabilities), values(wanted.probabilities));
}

test("faces, their places, crops and answers are Python's", { skip }, async () => {
  const opened = new Map();
  const [probabilities, same] = [[], []];
  let moved = 0;
  for (const [i, wanted] of pictures.entries()) {
    const where = `${i} ${wanted.name}`;
    const key = `${wanted.detector} ${wanted.size}`;
    if (!opened.has(key)) opened.set(key, await create({ model, detector: wanted.detector, size: wanted.size }));
    const photo = await opened.get(key).predict(picture(wanted));
    const said = toDict(photo);
    // a face whose score lies at the threshold may be there or not
    const sure = (face) => Math.abs(face.score - 0.5) > 0.005;
    const [ours, theirs] = [said.faces.filter(sure), wanted.photo.faces.filter(sure)];
    assert.equal(ours.length, theirs.length, `${where}: faces`);
    if (ours.length < said.faces.length) continue;
    assert.equal(said.outcome, wanted.photo.outcome, where);
    photo.faces.forEach((face, k) => {
      const name = `${where}, face ${k + 1}`;
      const off = apart([...face.crop.data], [...crop(wanted.crops[k], face.crop.size).data]);
      const probability = sameFace(said.faces[k], wanted.photo.faces[k], name);
      probabilities.push(probability);
      if (!samePlace(said.faces[k], wanted.photo.faces[k])) return void moved++;
      assert.equal(off, 0, `${name}: crop`);
      same.push(probability);
    });
  }
  // detectors sum floats in another order here: a place that lies between two steps falls to one or the other
  assert.ok(probabilities.length > 200);
  assert.ok(moved <= 0.03 * probabilities.length, `${moved} faces lie elsewhere`);
  assert.ok(quantile(probabilities, 0.95) <= 0.01, `95 % of the faces: ${quantile(probabilities, 0.95)}`);
  assert.ok(quantile(probabilities, 1) <= 0.05, `the worst: ${quantile(probabilities, 1)}`);
  asNear(same, "same places");
});

test("the same crops give the same probabilities: 1e-5 for floats, 1e-4 for all but a few in int8", { skip }, async () => {
  for (const name of [model, "mien-base", "mien-nano", "deep-emotion-2019"]) {
    const predictor = await create({ model: name, detector: "none" });
    const off = [];
    for (const wanted of pictures.filter((p) => p.crops.length)) {
      const answers = await predictor.classifier.classify(wanted.crops.map((at) => crop(at, 48)));
      answers.forEach((answer, k) => {
        const told = name === model ? values(wanted.photo.faces[k].probabilities) : wanted.others[name][k];
        off.push(apart(answer.probabilities, told));
        if (name === model) assert.ok(apart([...answer.attention.data], wanted.attention[k]) <= 0.05, "attention");
      });
    }
    if (name === "deep-emotion-2019") assert.ok(Math.max(...off) <= 1e-5, `${name}: ${Math.max(...off)}`);
    else asNear(off, name);
  }
});

test("a film's faces are followed and smoothed as in Python", { skip }, async () => {
  const stream = (await create({ model })).follow();
  for (const [i, wanted] of film.entries()) {
    const { photo, raw } = await stream.push(picture(wanted), 0.1 * i);
    const said = toDict(photo);
    assert.deepEqual(said.faces.map((f) => f.track), wanted.photo.faces.map((f) => f.track), `frame ${i}`);
    said.faces.forEach((face, k) => {
      assert.ok(sameFace(face, wanted.photo.faces[k], `frame ${i}`) <= 0.05, `frame ${i}: smoothed`);
      assert.ok(apart(values(raw[k].probabilities), values(wanted.raw[k].probabilities)) <= 0.05, `frame ${i}: raw`);
    });
  }
});
