// One map of a layer, shown as what it is: of a convolution the output is a window times a kernel, and the gradient of the input is a
// cell that outputs have read; of a transposed convolution it is the other way round.

import type { Layer } from "../data";
import type { Selection } from "../selection";
import type { Symbols } from "../symbols";
import { Reached } from "./reached";
import { Window } from "./window";

export interface ViewProps {
  layer: Layer;
  selection: Selection;
  select: (selection: Selection) => void;
  edit: (tensor: "input" | "weight" | "gradOutput", index: number, value: number) => void;
  symbols: Symbols;
  width: number;
  veiled: boolean; // a question is open: the answer is not shown
  neutral: boolean; // and this is not named, so that it can be asked later
}

/** What a map reads and gives, and how these are called. */
export interface Tensors {
  map: "forward" | "backward";
  source: Float64Array;
  sourceKey: "input" | "gradOutput";
  sourceTitle: string;
  sourceLetter: string;
  result: Float64Array;
  resultTitle: string;
  resultLetter: string;
  biased: boolean;
}

export function Forward(props: ViewProps) {
  const { layer } = props;
  const tensors: Tensors = {
    map: "forward", source: layer.input, sourceKey: "input", sourceTitle: "Input", sourceLetter: "x", result: layer.output,
    resultTitle: "Output", resultLetter: "o", biased: true,
  };
  return layer.transposed ? <Reached {...props} tensors={tensors} /> : <Window {...props} tensors={tensors} />;
}

export function InputGradient(props: ViewProps) {
  const { layer } = props;
  const tensors: Tensors = {
    map: "backward", source: layer.gradOutput, sourceKey: "gradOutput", sourceTitle: "Gradient of the output", sourceLetter: "∂o",
    result: layer.gradInput, resultTitle: "Gradient of the input", resultLetter: "∂x", biased: false,
  };
  return layer.transposed ? <Window {...props} tensors={tensors} /> : <Reached {...props} tensors={tensors} />;
}
