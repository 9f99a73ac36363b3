// What is looked at: one product of the convolution, (edge, output, tap), and the input that it reads. All views share it.

import { flat, member, places, reads, termsOfInput, type Three } from "./conv";
import type { Layer } from "./data";
import { edgesOfInput, edgesOfOutput } from "./layer";

export interface Selection {
  sample: number;
  edge: number;
  output: Three; // of the convolution
  tap: Three;
  input: Three; // of the convolution; no output may have read it
}

/** Where one begins to look: an output, or an input, in the last directions; without either in the middle. */
export interface Begin {
  output?: number[];
  input?: number[];
}

export function start(layer: Layer, at: Begin = {}): Selection {
  const three = (place: number[]): Three => [...Array(3 - place.length).fill(0), ...place] as Three;
  const output = at.output ? three(at.output) : (layer.shapes.output.map((size) => Math.floor((size - 1) / 2)) as Three);
  const selection = selectOutput(layer, { sample: 0, edge: 0, output, tap: [0, 0, 0], input: [0, 0, 0] }, output);
  return at.input ? selectInput(layer, selection, three(at.input)) : selection;
}

const inside = (layer: Layer, input: Three): boolean => input.every((h, k) => h >= 0 && h < layer.shapes.input[k]);
const read = (layer: Layer, output: Three, tap: Three): Three =>
  layer.conv.axes.map((axis, k) => reads(axis, output[k], tap[k])) as Three;

/** The same output and tap, in a layer whose sizes may have changed. */
export function fit(layer: Layer, selection: Selection): Selection {
  const clamp = (at: Three, sizes: Three) => at.map((k, d) => Math.min(k, sizes[d] - 1)) as Three;
  const edge = Math.min(selection.edge, layer.conv.edges.length - 1);
  const sample = Math.min(selection.sample, layer.batch - 1);
  const next = { sample, edge, output: clamp(selection.output, layer.shapes.output), tap: clamp(selection.tap, layer.shapes.kernel) };
  return selectOutput(layer, { ...next, input: clamp(selection.input, layer.shapes.input) }, next.output);
}

export function selectOutput(layer: Layer, selection: Selection, output: Three): Selection {
  let tap = selection.tap;
  if (!inside(layer, read(layer, output, tap)))
    tap = places(layer.shapes.kernel).find((m) => inside(layer, read(layer, output, m))) ?? tap;
  const input = read(layer, output, tap);
  return { ...selection, output, tap, input: inside(layer, input) ? input : selection.input };
}

export function selectTap(layer: Layer, selection: Selection, tap: Three): Selection {
  const input = read(layer, selection.output, tap);
  return { ...selection, tap, input: inside(layer, input) ? input : selection.input };
}

/** A member of the tile: the nearest output that uses it, if this one does not. */
export function selectKernel(layer: Layer, selection: Selection, kernel: Three): Selection {
  const now = member(layer.conv, selection.output);
  if (flat(now, layer.conv.tile) === flat(kernel, layer.conv.tile)) return selection;
  const output = selection.output.map((s, d) => {
    const at = s - now[d] + kernel[d];
    return at < layer.shapes.output[d] ? at : at - layer.conv.tile[d];
  }) as Three;
  return selectOutput(layer, selection, output);
}

/** An input: and an output that has read it, this one if it has. */
export function selectInput(layer: Layer, selection: Selection, input: Three): Selection {
  const terms = termsOfInput(layer.conv, selection.edge, input);
  const own = terms.find((t) => t.output.every((s, d) => s === selection.output[d])) ?? terms[0];
  return own ? { ...selection, input, output: own.output, tap: own.tap } : { ...selection, input };
}

/** An edge that ends in this channel of the layer: the present one if it does. */
export function selectOutChannel(layer: Layer, selection: Selection, channel: number): Selection {
  const edges = edgesOfOutput(layer, channel);
  return edges.length ? { ...selection, edge: nearest(layer, edges, selection.edge, layer.transposed ? 1 : 0) } : selection;
}

export function selectInChannel(layer: Layer, selection: Selection, channel: number): Selection {
  const edges = edgesOfInput(layer, channel);
  return edges.length ? { ...selection, edge: nearest(layer, edges, selection.edge, layer.transposed ? 0 : 1) } : selection;
}

/** Of these edges, the one whose other end is as now. */
function nearest(layer: Layer, edges: number[], now: number, end: 0 | 1): number {
  return edges.find((e) => layer.conv.edges[e][end] === layer.conv.edges[now][end]) ?? edges[0];
}
