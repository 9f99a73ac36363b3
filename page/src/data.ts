// The data of the page: layers and their numbers, as the library has packed them.

import { count, shapesOf, type Convolution, type Shapes, type Three } from "./conv";

type Packed = { shape: number[]; scale: number | null; data: string };

interface PackedLayer {
  name: string;
  kind: string;
  n: number;
  transposed: boolean;
  axes: Convolution["axes"];
  tile: Three;
  edges: [number, number][];
  inputs: number[]; // channels of the convolution, those that are shown
  outputs: number[];
  batch: number;
  partial: boolean;
  more_samples: boolean;
  note: string;
  field: Field[] | null;
  input: Packed; // of the layer
  weight: Packed;
  bias: Packed | null;
  output: Packed;
  grad_output: Packed;
  grad_input: Packed;
  grad_weight: Packed;
}

/** What position `s` of an output sees of the network's input: `size` places from `start + s * jump` on. */
export interface Field {
  start: number;
  jump: number;
  size: number;
  wraps: boolean; // what lies outside is no zeros, but other places
}

export interface Content {
  title: string;
  layers: PackedLayer[];
  network: { sizes: Three; channels: number; numbers: Packed } | null;
}

export interface Network {
  sizes: Three;
  channels: number;
  input: Float64Array;
}

/** A layer whose numbers are spelled out. All but the weight have (sample, channel, position). */
export interface Layer {
  name: string;
  kind: string;
  n: number;
  transposed: boolean;
  conv: Convolution;
  shapes: Shapes;
  batch: number;
  note: string;
  field: Field[] | null; // null: not known, or the geometry was changed
  network: Network | null;
  inputs: number[]; // channels of the convolution, by their numbers in the model
  outputs: number[];
  exact: boolean; // numbers are float32, and not fractions of the largest
  partial: boolean; // some channels or places are not shown, and sums have a rest
  moreSamples: boolean; // some samples are not shown, and the gradient of a weight has a rest
  changed: boolean; // by the reader: there is nothing of the library's to compare with
  input: Float64Array;
  weight: Float64Array;
  bias: Float64Array | null; // a number for each output channel, or for each and each position
  output: Float64Array;
  gradOutput: Float64Array;
  gradInput: Float64Array;
  gradWeight: Float64Array;
}

function unpack(packed: Packed): Float64Array {
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const { scale } = packed;
  if (scale === null) return Float64Array.from(new Float32Array(bytes.buffer));
  return Float64Array.from(new Int16Array(bytes.buffer), (k) => (k === -32768 ? NaN : k * scale));
}

export function spell(layer: PackedLayer, content: Content): Layer {
  const { network } = content;
  const conv: Convolution = {
    axes: layer.axes, tile: layer.tile, edges: layer.edges, inChannels: layer.inputs.length, outChannels: layer.outputs.length,
  };
  return {
    name: layer.name, kind: layer.kind, n: layer.n, transposed: layer.transposed, conv, shapes: shapesOf(conv), batch: layer.batch,
    note: layer.note, changed: false, field: layer.field, inputs: layer.inputs, outputs: layer.outputs,
    network: network && { sizes: network.sizes, channels: network.channels, input: unpack(network.numbers) },
    exact: layer.output.scale === null, partial: layer.partial, moreSamples: layer.more_samples,
    input: unpack(layer.input), weight: unpack(layer.weight), bias: layer.bias && unpack(layer.bias), output: unpack(layer.output),
    gradOutput: unpack(layer.grad_output), gradInput: unpack(layer.grad_input), gradWeight: unpack(layer.grad_weight),
  };
}

export function read(): Content {
  const element = document.getElementById("data");
  return element ? JSON.parse(element.textContent ?? "") : lecture();
}

/** The lecture's example, for a page that was opened without any data: a picture of 3 x 3 and a filter of 2 x 2. */
export function lecture(): Content {
  const pack = (shape: number[], numbers: number[]): Packed => {
    const bytes = new Uint8Array(new Float32Array(numbers).buffer);
    return { shape, scale: null, data: btoa(String.fromCharCode(...bytes)) };
  };
  const axis = (size: number, kernel: number) => ({
    size, kernel, output: size - kernel + 1, stride: 1, dilation: 1, padding: 0, flip: false,
  });
  return {
    title: "the lecture's example", network: null,
    layers: [
      {
        name: "3 x 3 picture, 2 x 2 filter", kind: "shared", n: 2, transposed: false, axes: [axis(1, 1), axis(3, 2), axis(3, 2)],
        tile: [1, 1, 1], edges: [[0, 0]], inputs: [0], outputs: [0], batch: 1, partial: false, more_samples: false, note: "", field: null,
        input: pack([1, 1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]), weight: pack([1, 2, 2], [1, 2, 3, 4]), bias: null,
        output: pack([1, 1, 2, 2], [37, 47, 67, 77]), grad_output: pack([1, 1, 2, 2], [1, 2, 3, 4]),
        grad_input: pack([1, 1, 3, 3], [1, 4, 4, 6, 20, 16, 9, 24, 16]), grad_weight: pack([1, 2, 2], [37, 47, 67, 77]),
      },
    ],
  };
}

const planes = new WeakMap<Float64Array, Map<number, Float64Array>>();

/** A plane of numbers: one channel of one sample; the same object each time, so that what is painted of it is known again. */
export function plane(numbers: Float64Array, sizes: Three, channels: number, sample: number, channel: number): Float64Array {
  let known = planes.get(numbers);
  if (!known) planes.set(numbers, (known = new Map()));
  const [size, index] = [count(sizes), sample * channels + channel];
  let found = known.get(index);
  if (!found) known.set(index, (found = numbers.subarray(index * size, (index + 1) * size)));
  return found;
}
