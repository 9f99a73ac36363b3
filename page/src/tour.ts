// The lecture in its order, a step a slide: what to see, on which numbers, and a question where there is one.

import { make } from "./change";
import type { Layer } from "./data";
import type { ViewName } from "./app";
import type { Begin } from "./selection";

export interface Step {
  id: string; // look.html#id
  title: string;
  text: string;
  formula?: string;
  question?: string; // asked first, answered by the text
  view: ViewName;
  symbols?: boolean; // cells by their names
  at?: Begin; // where one begins to look
  neutral?: boolean; // the turned kernel is not named yet
  neuron?: boolean; // the picture of a neuron with its gradients
  layer: () => Layer;
}

const picture = () => make({ input: [3, 3], kernel: [2, 2], weights: [1, 2, 3, 4], gradient: [1, 2, 3, 4] });

export const STEPS: Step[] = [
  {
    id: "track", title: "A plane's track", view: "forward",
    text: "A noisy position is averaged over time, the newest counting most: at each time t a window of the past, times weights. The kernel is turned, so its first weight meets the newest observation; before the start of the track there is nothing (0, hatched).",
    formula: "s(t) = Σ x(a) w(t − a)",
    layer: () => make({ input: [9], kernel: [3], padding: 2, after: 0, flip: true, numbers: [2, 3, 3, 5, 4, 6, 7, 7, 9], weights: [0.5, 0.3, 0.2] }),
  },
  {
    id: "discrete", title: "The discrete sum", view: "connections",
    text: "Time in steps: each output is joined to as many inputs as the kernel has weights, and every output uses the same weights. A colour is a kernel, a letter a weight.",
    formula: "s(t) = Σₐ x(a) w(t − a)",
    layer: () => make({ input: [9], kernel: [3], padding: 2, after: 0, flip: true, numbers: [2, 3, 3, 5, 4, 6, 7, 7, 9], weights: [0.5, 0.3, 0.2] }),
  },
  {
    id: "two-dimensions", title: "Two dimensions", view: "forward",
    text: "A picture of 3 × 4 and a kernel of 2 × 2: the window moves over rows and columns. As in all of deep learning the kernel is not turned here: this is cross-correlation. True convolution turns it by 180°; the numbers are only the same for kernels that the turn leaves alone.",
    formula: "S(t, r) = Σᵢ Σⱼ I(t + i, r + j) K(i, j)",
    layer: () => make({ input: [3, 4], kernel: [2, 2] }),
  },
  {
    id: "hadamard", symbols: true, title: "Hadamard product and sum", view: "forward",
    text: "One output: the window and the kernel are multiplied entry by entry, and the sum of the product's entries is the output. The same as laying both out as vectors and taking their dot product.",
    formula: "(a b; c d) ⊙ (e f; g h) → ae + bf + cg + dh", layer: picture,
  },
  {
    id: "channels", title: "Channels", view: "forward",
    text: "With several channels in, each has a kernel of its own and the results are added. Each channel out has its own set of kernels: the filter is as deep as the input has channels.",
    formula: "z[j, s, t] = Σᵢ Σₘ Σₙ v[i, s + m, t + n] k[j, i, m, n]",
    layer: () => make({ input: [3, 3], kernel: [2, 2], channels: [2, 2] }),
  },
  {
    id: "stride-two-steps", title: "Stride, as two steps", view: "forward", at: { output: [2, 2] },
    text: "First every output is computed, then only every second is kept. Point at outputs whose row and column are even: those stay.",
    layer: () => make({ input: [5, 5], kernel: [2, 2] }),
  },
  {
    id: "stride", title: "Stride, as one", view: "forward",
    text: "The window itself moves two steps at a time: the same numbers, and none computed in vain.",
    formula: "z[j, s, t] = Σ v[i, s·u + m, t·u + n] k[j, i, m, n]", layer: () => make({ input: [5, 5], kernel: [2, 2], stride: 2 }),
  },
  {
    id: "valid", title: "Valid", view: "forward", text: "No padding: only whole windows. A 4 × 4 picture and a 3 × 3 kernel leave 2 × 2 outputs.",
    layer: () => make({ input: [4, 4], kernel: [3, 3] }),
  },
  {
    id: "same", title: "Same", view: "forward", text: "As much padding as keeps the size: one row of zeros around, for a kernel of 3 × 3.",
    layer: () => make({ input: [4, 4], kernel: [3, 3], padding: 1 }),
  },
  {
    id: "full", title: "Full", view: "forward", text: "Every window that meets the picture at all: kernel less one rows of zeros around.",
    layer: () => make({ input: [4, 4], kernel: [3, 3], padding: 2 }),
  },
  {
    id: "local", title: "Local", view: "connections",
    text: "Locally connected: the same windows, but each position has a kernel of its own. Nothing is shared: no letter comes twice.",
    formula: "z[j, s, t] = Σ v[i, s + m, t + n] w[j, s, t, i, m, n]",
    layer: () => make({ input: [6], kernel: [2], tile: "local" }),
  },
  {
    id: "tiled", title: "Tiled", view: "connections",
    text: "A set of kernels that take turns: neighbours differ, and l positions on the same one returns. Memory grows by the size of the set, not by that of the output.",
    formula: "z[j, s, t] = Σ v[i, s + m, t + n] w[j, s % l, t % l, i, m, n]",
    layer: () => make({ input: [6], kernel: [2], tile: 2 }),
  },
  {
    id: "channel-local", title: "Channel-local", view: "connections",
    text: "Which channels an output reads is a graph of its own, the channel dependency graph: here interlaced groups, every second input for each output. Groups of neighbours after them let every output see every input, at a fraction of the weights.",
    layer: () => make({ input: [5], kernel: [2], channels: [4, 4], edges: [[0, 0], [2, 0], [1, 1], [3, 1], [0, 2], [2, 2], [1, 3], [3, 3]] }),
  },
  {
    id: "difference", title: "The difference between the kinds", view: "connections",
    text: "Local, tiled and shared with windows of two: the same lines each time. Compare the letters: 2 weights, 4, and one for each line.", layer: () => make({ input: [6], kernel: [2], tile: 2 }),
  },
  {
    id: "matrix", title: "A convolution is a matrix", view: "matrix",
    text: "Lay the picture out as a vector: then each output is a row with the kernel's weights where its window lies. A 3 × 3 filter on 9 × 9 makes a 49 × 81 matrix, 441 of its 3,969 entries are not zero; laid out by im2col the picture is 9 × 49. Backwards, multiply with its transpose.",
    layer: () => make({ input: [9, 9], kernel: [3, 3], weights: [1, 2, 1, 2, 4, 2, 1, 2, -1] }),
  },
  {
    id: "neuron", title: "A neuron with its two gradients", view: "filter", neuron: true,
    text: "Forward, X and F go in and o comes out. On the way back the later layer hands over ∂L/∂o, and the neuron owes two gradients: one for its filter, to learn from, and one for its input, to hand on.",
    layer: picture,
  },
  {
    id: "example", symbols: true, title: "The example: forward", view: "forward", text: "Picture X of 3 × 3, filter F of 2 × 2, no padding: four outputs.",
    formula: "o₁₁ = F₁₁x₁₁ + F₁₂x₁₂ + F₂₁x₂₁ + F₂₂x₂₂", layer: picture,
  },
  {
    id: "filter-gradient", symbols: true, title: "The gradient of the filter", view: "filter",
    text: "Each weight was used at every position: its gradient adds up, over these, what it met times the gradient of what came of it. All four together are a convolution of X with the gradient.",
    formula: "∂L/∂F₁₁ = ∂o₁₁x₁₁ + ∂o₁₂x₁₂ + ∂o₂₁x₂₁ + ∂o₂₂x₂₂", layer: picture,
  },
  {
    id: "input-gradient", symbols: true, neutral: true, at: { input: [1, 1] }, title: "The gradient of the input", view: "input",
    text: "Each input was read by up to four outputs, each through another weight: its gradient adds these up. In the middle there are four terms, in the corners one.",
    formula: "∂L/∂x₂₂ = ∂o₁₁F₂₂ + ∂o₁₂F₂₁ + ∂o₂₁F₁₂ + ∂o₂₂F₁₁", layer: picture,
  },
  {
    id: "which-filter", symbols: true, at: { input: [1, 1] }, title: "Which filter produced it?", view: "input",
    question: "The gradient of the input is itself a convolution of the padded gradient with a filter. Which filter is it?",
    text: "F turned by 180°: first its last weight. The gradient needs a frame of zeros, kernel less one wide (the slides say half of the kernel, which only agrees at 2 × 2).",
    formula: "∂L/∂X = (∂L/∂o)ₚ ∗ (F₂₂ F₂₁; F₁₂ F₁₁)", layer: picture,
  },
  {
    id: "strided-gradient", title: "With a stride", view: "input", at: { input: [2, 2] },
    text: "With a stride of two, zeros also lie between the gradients: then the same turned filter gives the gradient of the input.",
    layer: () => make({ input: [5, 5], kernel: [3, 3], stride: 2, gradient: [1, 2, 3, 4], weights: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
  },
];
