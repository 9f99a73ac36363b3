// A layer under another geometry: what the reader tries out.

import { count, outputSize, places, shapesOf, weightAt, type Axis, type Three } from "./conv";
import type { Layer } from "./data";
import { outChannels, outSizes, products, recompute } from "./layer";

export const MOST = 4e7; // products that are followed live

export interface Geometry {
  stride: Three;
  padding: Three;
  dilation: Three;
  tile: Three;
}

export const geometryOf = (layer: Layer): Geometry => ({
  stride: layer.conv.axes.map((axis) => axis.stride) as Three,
  padding: layer.conv.axes.map((axis) => axis.padding) as Three,
  dilation: layer.conv.axes.map((axis) => axis.dilation) as Three,
  tile: layer.conv.tile,
});

/** The layer with this geometry, or why there is none. Padding is the same before and after. */
export function changed(layer: Layer, geometry: Geometry): Layer | string {
  const axes: Axis[] = [];
  for (let d = 0; d < 3; d++) {
    const [stride, padding, dilation] = [geometry.stride[d], geometry.padding[d], geometry.dilation[d]];
    const axis = { ...layer.conv.axes[d], stride, padding, dilation };
    const reach = dilation * (axis.kernel - 1) + 1;
    if (layer.transposed) axis.size = (axis.output - 1) * stride - 2 * padding + reach;
    else axis.output = outputSize(axis.size, axis.kernel, stride, dilation, padding, padding);
    if (axis.size < 1) return `padding ${padding} crops more than there is`;
    if (axis.output < 1) return `a kernel that reaches over ${reach} is larger than the padded input, ${axis.size + 2 * padding}`;
    axes.push(axis);
  }
  const tile = geometry.tile.map((count, d) => Math.max(1, Math.min(count, axes[d].output))) as Three;
  const conv = { ...layer.conv, axes: axes as [Axis, Axis, Axis], tile };
  const shapes = shapesOf(conv);
  const next: Layer = { ...layer, conv, shapes, field: null };
  if (products(next) > MOST) return "there are too many products to follow a change of this layer here";
  next.weight = new Float64Array(conv.edges.length * count(tile) * count(shapes.kernel));
  for (let edge = 0; edge < conv.edges.length; edge++)
    for (const member of places(tile)) {
      const old = member.map((r, d) => r % layer.conv.tile[d]) as Three; // it was this one's function before
      for (const tap of places(shapes.kernel))
        next.weight[weightAt(shapes, edge, member, tap)] = layer.weight[weightAt(layer.shapes, edge, old, tap)];
    }
  next.gradWeight = new Float64Array(next.weight.length);
  if (count(outSizes(next)) !== count(outSizes(layer))) {
    next.gradOutput = new Float64Array(next.batch * outChannels(next) * count(outSizes(next))).fill(1);
    next.note = "the gradient of the output is ones here: its size is another";
    if (layer.bias && layer.bias.length > outChannels(layer)) {
      const [old, size] = [count(outSizes(layer)), count(outSizes(next))];
      const bias = layer.bias;
      next.bias = Float64Array.from({ length: outChannels(next) * size }, (_, k) => bias[Math.floor(k / size) * old]);
    }
  }
  return recompute(next);
}

export interface Made {
  name?: string;
  input: number[]; // sizes
  kernel: number[];
  stride?: number;
  padding?: number;
  after?: number; // padding after, where it is another
  dilation?: number;
  tile?: number | "local";
  channels?: [number, number];
  edges?: [number, number][];
  flip?: boolean;
  numbers?: number[];
  weights?: number[];
  gradient?: number[];
}

/** A layer from scratch, for the tour: numbers that count up where none are given. */
export function make(made: Made): Layer {
  const n = made.input.length;
  const three = (sizes: number[], fill: number): Three => [...Array(3 - n).fill(fill), ...sizes] as Three;
  const [size, kernel] = [three(made.input, 1), three(made.kernel, 1)];
  const { stride = 1, padding = 0, after = padding, dilation = 1, channels = [1, 1] } = made;
  const axes = size.map((length, d) => {
    const own = d >= 3 - n;
    const [u, p, r] = own ? [stride, padding, dilation] : [1, 0, 1];
    return {
      size: length, kernel: kernel[d], output: outputSize(length, kernel[d], u, r, p, own ? after : 0), stride: u, dilation: r, padding: p,
      flip: own && !!made.flip,
    };
  }) as [Axis, Axis, Axis];
  const output = axes.map((axis) => axis.output) as Three;
  const tile = output.map((most, d) => (d < 3 - n ? 1 : made.tile === "local" ? most : Math.min(made.tile ?? 1, most))) as Three;
  const edges = made.edges ?? Array.from({ length: channels[0] * channels[1] }, (_, k) => [k % channels[0], Math.floor(k / channels[0])] as [number, number]);
  const conv = { axes, tile, edges, inChannels: channels[0], outChannels: channels[1] };
  const shapes = shapesOf(conv);
  const fill = (length: number, given: number[] | undefined, value: (k: number) => number) =>
    Float64Array.from({ length }, (_, k) => (given ? given[k % given.length] : value(k)));
  const taps = count(kernel);
  const layer: Layer = {
    name: made.name ?? "", kind: tile.every((t) => t === 1) ? "shared" : made.tile === "local" ? "local" : "tiled", n, transposed: false, conv,
    shapes, batch: 1, note: "", field: null, network: null, inputs: [...Array(channels[0]).keys()], outputs: [...Array(channels[1]).keys()],
    exact: true, moreSamples: false, partial: false, changed: true,
    input: fill(channels[0] * count(size), made.numbers, (k) => k + 1),
    weight: fill(edges.length * count(tile) * taps, made.weights, (k) => (k % taps) + 1 + Math.floor(k / taps)),
    bias: null, output: new Float64Array(), gradOutput: fill(channels[1] * count(output), made.gradient, (k) => k + 1),
    gradInput: new Float64Array(channels[0] * count(size)), gradWeight: new Float64Array(edges.length * count(tile) * taps),
  };
  return recompute(layer);
}

/** With one number of a tensor changed. */
export function edited(layer: Layer, tensor: "input" | "weight" | "gradOutput", index: number, value: number): Layer | string {
  if (products(layer) > MOST) return "there are too many products to follow a change of this layer here";
  const numbers = Float64Array.from(layer[tensor]);
  numbers[index] = value;
  return recompute({ ...layer, [tensor]: numbers });
}
