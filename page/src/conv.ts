// What a convolution is: the same one formula as the library's, so that what is changed here is followed at once.
//
//   output[j, s] = sum over edges (i, j) and taps m of  input[i, s*u + m*d - p] * weight[(i, j), s % l, m]
//
// Arrays are flat, and everything has three directions; those that are not needed have size 1.

export interface Axis {
  size: number;
  kernel: number;
  output: number;
  stride: number;
  dilation: number;
  padding: number; // before
  flip: boolean;
}

export type Three = [number, number, number];

export interface Convolution {
  axes: [Axis, Axis, Axis];
  tile: Three;
  edges: [number, number][]; // input and output channel
  inChannels: number;
  outChannels: number;
}

/** A product: where its three numbers lie. `inside` is false in the padding, where it is left out. */
export interface Term {
  edge: number;
  kernel: Three;
  tap: Three;
  input: Three;
  output: Three;
  inside: boolean;
}

export const count = (sizes: Three): number => sizes[0] * sizes[1] * sizes[2];
export const flat = (at: Three, sizes: Three): number => (at[0] * sizes[1] + at[1]) * sizes[2] + at[2];
export const place = (index: number, sizes: Three): Three => [
  Math.floor(index / (sizes[1] * sizes[2])),
  Math.floor(index / sizes[2]) % sizes[1],
  index % sizes[2],
];
export const sizesOf = (c: Convolution, of: "size" | "kernel" | "output"): Three =>
  c.axes.map((axis) => axis[of]) as Three;

/** Every place of an array of these sizes, in order. */
export function places(sizes: Three): Three[] {
  const found: Three[] = [];
  for (let a = 0; a < sizes[0]; a++)
    for (let b = 0; b < sizes[1]; b++) for (let c = 0; c < sizes[2]; c++) found.push([a, b, c]);
  return found;
}

/** How many windows fit. */
export const outputSize = (size: number, kernel: number, stride: number, dilation: number, before: number, after: number) =>
  Math.floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1;

/** Where output `s` reads the input through tap `m`; outside of 0 .. size - 1 it is padding. */
export function reads(axis: Axis, s: number, m: number): number {
  return s * axis.stride + (axis.flip ? axis.kernel - 1 - m : m) * axis.dilation - axis.padding;
}

/** The member of the tile that position `s` uses. */
export const member = (c: Convolution, s: Three): Three => s.map((at, k) => at % c.tile[k]) as Three;

export function term(c: Convolution, edge: number, output: Three, tap: Three): Term {
  const input = c.axes.map((axis, k) => reads(axis, output[k], tap[k])) as Three;
  const inside = input.every((at, k) => at >= 0 && at < c.axes[k].size);
  return { edge, kernel: member(c, output), tap, input, output, inside };
}

export const edgesInto = (c: Convolution, output: number): number[] =>
  c.edges.flatMap(([, j], e) => (j === output ? [e] : []));
export const edgesFrom = (c: Convolution, input: number): number[] =>
  c.edges.flatMap(([i], e) => (i === input ? [e] : []));

/** The products of one output, for one edge. */
export function termsOfOutput(c: Convolution, edge: number, output: Three): Term[] {
  return places(sizesOf(c, "kernel")).map((tap) => term(c, edge, output, tap));
}

/** Which outputs have read an input place, and through which taps: [output, tap] in one direction. */
function readers(axis: Axis, h: number): [number, number][] {
  const found: [number, number][] = [];
  for (let m = 0; m < axis.kernel; m++) {
    const at = h + axis.padding - (axis.flip ? axis.kernel - 1 - m : m) * axis.dilation;
    const s = at / axis.stride;
    if (at % axis.stride === 0 && s >= 0 && s < axis.output) found.push([s, m]);
  }
  return found.sort(([a], [b]) => a - b);
}

/** The products that the gradient of one input is the sum of, for one edge. */
export function termsOfInput(c: Convolution, edge: number, input: Three): Term[] {
  const [x, y, z] = c.axes.map((axis, k) => readers(axis, input[k]));
  return x.flatMap(([s0, m0]) =>
    y.flatMap(([s1, m1]) => z.map(([s2, m2]) => term(c, edge, [s0, s1, s2], [m0, m1, m2]))),
  );
}

/** The products that the gradient of one weight is the sum of, in one sample. */
export function termsOfWeight(c: Convolution, edge: number, kernel: Three, tap: Three): Term[] {
  return places(sizesOf(c, "output"))
    .filter((s) => s.every((at, k) => at % c.tile[k] === kernel[k]))
    .map((s) => term(c, edge, s, tap));
}

/** Where the numbers of a term lie in the layer's arrays. */
export interface Shapes {
  input: Three;
  output: Three;
  kernel: Three;
  tile: Three;
}

export const shapesOf = (c: Convolution): Shapes => ({
  input: sizesOf(c, "size"),
  output: sizesOf(c, "output"),
  kernel: sizesOf(c, "kernel"),
  tile: c.tile,
});

export const weightAt = (shapes: Shapes, edge: number, kernel: Three, tap: Three): number =>
  (edge * count(shapes.tile) + flat(kernel, shapes.tile)) * count(shapes.kernel) + flat(tap, shapes.kernel);
