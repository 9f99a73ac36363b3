// A layer's input and output: of a convolution what it reads and what it writes, of a transposed one the other way round.

import {
  count, edgesFrom, edgesInto, flat, places, reads, weightAt, type Term, type Three,
} from "./conv";
import { plane, type Layer } from "./data";

export const inSizes = (l: Layer): Three => (l.transposed ? l.shapes.output : l.shapes.input);
export const outSizes = (l: Layer): Three => (l.transposed ? l.shapes.input : l.shapes.output);
export const inChannels = (l: Layer): number => (l.transposed ? l.conv.outChannels : l.conv.inChannels);
export const outChannels = (l: Layer): number => (l.transposed ? l.conv.inChannels : l.conv.outChannels);
export const inChannel = (l: Layer, edge: number): number => l.conv.edges[edge][l.transposed ? 1 : 0];
export const outChannel = (l: Layer, edge: number): number => l.conv.edges[edge][l.transposed ? 0 : 1];
export const inPlace = (l: Layer, t: Term): Three => (l.transposed ? t.output : t.input);
export const outPlace = (l: Layer, t: Term): Three => (l.transposed ? t.input : t.output);

/** What channels are called in the model. */
export const inNames = (l: Layer): number[] => (l.transposed ? l.outputs : l.inputs);
export const outNames = (l: Layer): number[] => (l.transposed ? l.inputs : l.outputs);

/** The edges by which an output channel of the layer reads, and those by which an input channel is read. */
export const edgesOfOutput = (l: Layer, channel: number): number[] => (l.transposed ? edgesFrom : edgesInto)(l.conv, channel);
export const edgesOfInput = (l: Layer, channel: number): number[] => (l.transposed ? edgesInto : edgesFrom)(l.conv, channel);

export const inputPlane = (l: Layer, sample: number, channel: number) => plane(l.input, inSizes(l), inChannels(l), sample, channel);
export const gradOutputPlane = (l: Layer, sample: number, channel: number) =>
  plane(l.gradOutput, outSizes(l), outChannels(l), sample, channel);

const at = (numbers: Float64Array, sizes: Three, channels: number, sample: number, channel: number, where: Three): number =>
  where.every((k, d) => k >= 0 && k < sizes[d]) ? numbers[(sample * channels + channel) * count(sizes) + flat(where, sizes)] : 0;

export const inputValue = (l: Layer, sample: number, t: Term) =>
  at(l.input, inSizes(l), inChannels(l), sample, inChannel(l, t.edge), inPlace(l, t));
export const gradOutputValue = (l: Layer, sample: number, t: Term) =>
  at(l.gradOutput, outSizes(l), outChannels(l), sample, outChannel(l, t.edge), outPlace(l, t));
export const weightValue = (l: Layer, t: Term) => l.weight[weightAt(l.shapes, t.edge, t.kernel, t.tap)];

/** As a factor of a sum. */
export const weightOf = (l: Layer, _: number, t: Term): number => weightValue(l, t);

type Value = (l: Layer, sample: number, t: Term) => number;

/** A sum of products: what it is, what its products are together without their signs, and how many there are. */
export interface Total {
  value: number;
  size: number;
  count: number;
}

export function sum(l: Layer, sample: number, terms: Term[], left: Value, right: Value): Total {
  const total: Total = { value: 0, size: 0, count: terms.length };
  for (const t of terms)
    if (t.inside) {
      const product = left(l, sample, t) * right(l, sample, t);
      total.value += product;
      total.size += Math.abs(product);
    }
  return total;
}

/** How far a sum may lie from the library's: what rounding makes of it, and of numbers that are packed as fractions of the largest. */
export function tolerance(l: Layer, totals: Total[], left: number, right: number, result: number): number {
  const size = totals.reduce((a, total) => a + total.size, 0);
  const terms = totals.reduce((a, total) => a + total.count, 0);
  return 2e-5 * size + (l.exact ? 0 : (Math.sqrt(terms) * left * right) / 8000 + result / 16000);
}

export function biasAt(l: Layer, channel: number, where: Three): number {
  if (!l.bias) return 0;
  const tied = l.bias.length === outChannels(l);
  return l.bias[tied ? channel : channel * count(outSizes(l)) + flat(where, outSizes(l))];
}

/** Products of one map: what following a change takes. */
export const products = (l: Layer): number =>
  l.batch * l.conv.edges.length * count(l.shapes.output) * count(l.shapes.kernel);

/** Output and gradients anew, by the formula, after something was changed. */
export function recompute(l: Layer): Layer {
  const next: Layer = {
    ...l, changed: true, output: new Float64Array(l.batch * outChannels(l) * count(outSizes(l))),
    gradInput: new Float64Array(l.input.length), gradWeight: new Float64Array(l.weight.length),
  };
  const { input: inner, output: outer } = l.shapes;
  const [read, written] = [count(inner), count(outer)];
  const taps = places(l.shapes.kernel);
  const positions = places(outer);
  // of the convolution: what it reads is the input of a layer, and the output of a transposed one
  const [channelsIn, channelsOut] = [l.conv.inChannels, l.conv.outChannels];
  for (let edge = 0; edge < l.conv.edges.length; edge++) {
    const [i, j] = l.conv.edges[edge];
    for (const s of positions) {
      const kernel = s.map((k, d) => k % l.conv.tile[d]) as Three;
      for (const tap of taps) {
        let from = 0;
        let inside = true;
        for (let d = 0; d < 3; d++) {
          const axis = l.conv.axes[d];
          const h = reads(axis, s[d], tap[d]);
          inside &&= h >= 0 && h < axis.size;
          from = from * axis.size + h;
        }
        if (!inside) continue;
        const w = weightAt(l.shapes, edge, kernel, tap);
        for (let b = 0; b < l.batch; b++) {
          const v = (b * channelsIn + i) * read + from;
          const z = (b * channelsOut + j) * written + flat(s, outer);
          if (l.transposed) {
            next.output[v] += l.input[z] * l.weight[w];
            next.gradInput[z] += l.gradOutput[v] * l.weight[w];
            next.gradWeight[w] += l.input[z] * l.gradOutput[v];
          } else {
            next.output[z] += l.input[v] * l.weight[w];
            next.gradInput[v] += l.gradOutput[z] * l.weight[w];
            next.gradWeight[w] += l.input[v] * l.gradOutput[z];
          }
        }
      }
    }
  }
  if (l.bias) {
    const size = count(outSizes(l));
    const repeat = l.bias.length === outChannels(l) ? size : 1;
    for (let k = 0; k < next.output.length; k++) next.output[k] += l.bias[Math.floor(k / repeat) % l.bias.length];
  }
  return next;
}
