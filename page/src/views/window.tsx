// A window of what is read, entry by entry times a kernel, summed up: what a convolution writes at one place.

import { edgesInto, flat, reads, term, termsOfOutput, weightAt, type Three } from "../conv";
import { plane } from "../data";
import { biasAt, sum, tolerance, weightOf, weightValue } from "../layer";
import { Grid } from "../grid";
import { largest } from "../numbers";
import { aroundOf, Kernel, Plane, roomOf, Sum, windowMarks, type SumPart } from "../panels";
import { selectInput, selectOutput, selectTap } from "../selection";
import { equationOf, symbolOf } from "../symbols";
import type { Tensors, ViewProps } from "./maps";

export function Window({ layer, selection, select, edit, symbols, width, tensors }: ViewProps & { tensors: Tensors }) {
  const { conv, shapes } = layer;
  const [i, j] = conv.edges[selection.edge];
  const { output, tap, sample } = selection;
  const read = plane(tensors.source, shapes.input, conv.inChannels, sample, i);
  const written = plane(tensors.result, shapes.output, conv.outChannels, sample, j);
  const sourceOf = (edge: number) => plane(tensors.source, shapes.input, conv.inChannels, sample, conv.edges[edge][0]);
  const edges = edgesInto(conv, j);
  const totals = edges.map((edge) =>
    sum(layer, sample, termsOfOutput(conv, edge, output), (_, __, t) => sourceOf(edge)[flat(t.input, shapes.input)], weightOf),
  );
  const parts: SumPart[] = edges.map((edge, k) => ({
    label: edges.length > 1 || layer.partial ? `channel ${layer.inputs[conv.edges[edge][0]]}` : "the products", value: totals[k].value,
    chosen: edge === selection.edge, onPick: edges.length > 1 ? () => select({ ...selection, edge }) : undefined,
  }));
  if (tensors.biased && layer.bias) parts.push({ label: "bias", always: true, value: biasAt(layer, j, output) });
  const traced = written[flat(output, shapes.output)];
  const near = tolerance(layer, totals, largest(tensors.source), largest(layer.weight), largest(tensors.result));
  // of a true convolution the kernel lies turned in its window, and so does the product
  const lies = (tap: Three): Three => tap.map((m, d) => (conv.axes[d].flip ? conv.axes[d].kernel - 1 - m : m)) as Three;
  const flip = conv.axes.some((axis) => axis.flip);
  const room = roomOf(width, 2, 440);
  const at = output.slice(3 - layer.n).join(", ");
  const tapOf = (row: number, column: number): Three => {
    const [, a, b] = lies([0, row, column]);
    return [tap[0], a, b];
  };
  const [, ownRow, ownColumn] = lies(tap);
  return (
    <div class="stage">
      <Plane
        name={tensors.sourceKey} title={tensors.sourceTitle} note={conv.inChannels > 1 ? `channel ${layer.inputs[i]}` : undefined} numbers={read}
        sizes={shapes.input} depth={reads(conv.axes[0], output[0], tap[0])}
        most={largest(read)} around={aroundOf(layer)} marks={windowMarks(layer, output, tap)} at={selection.input} width={room}
        letter={tensors.sourceLetter} symbols={symbols} onPick={(h) => select(selectInput(layer, selection, h))}
        onEdit={(h, value) => edit(tensors.sourceKey, (sample * conv.inChannels + i) * read.length + flat(h, shapes.input), value)}
      />
      <div class="column">
        <span class="operator">⊙</span>
        <Kernel
          name="kernel" title={flip ? "Kernel, turned by 180°" : "Kernel"} turned={flip} layer={layer} selection={selection} numbers={layer.weight} width={190} letter="F" symbols={symbols}
          onPick={(m) => select(selectTap(layer, selection, m))}
          onEdit={(m, value) => edit("weight", weightAt(shapes, selection.edge, term(conv, selection.edge, output, m).kernel, m), value)}
        />
        <span class="operator">=</span>
        <Grid
          name="product" title="Hadamard product" nothing="0" line={layer.n === 1}
          note={shapes.kernel[0] > 1 ? `plane ${tap[0]} of ${shapes.kernel[0]}` : undefined} rows={shapes.kernel[1]} columns={shapes.kernel[2]} width={190}
          largestCell={symbols.on ? 58 : 46} most={largest(read) * largest(layer.weight)}
          value={(row, column) => {
            const t = term(conv, selection.edge, output, tapOf(row, column));
            return t.inside ? read[flat(t.input, shapes.input)] * weightValue(layer, t) : null;
          }}
          symbol={
            symbols.on
              ? (row, column) => {
                  const t = term(conv, selection.edge, output, tapOf(row, column));
                  return t.inside ? `${symbolOf("F", t.tap, layer.n)}${symbolOf(tensors.sourceLetter, t.input, layer.n)}` : "0";
                }
              : undefined
          }
          at={[ownRow, ownColumn]} marks={[{ row: ownRow, column: ownColumn, kind: "cell" }]}
          onPick={(row, column) => select(selectTap(layer, selection, tapOf(row, column)))}
        />
      </div>
      <Plane
        name={tensors.map === "forward" ? "output" : "gradInput"} title={tensors.resultTitle}
        note={conv.outChannels > 1 ? `channel ${layer.outputs[j]}` : undefined} numbers={written} sizes={shapes.output} depth={output[0]}
        most={largest(written)} marks={[{ row: output[1], column: output[2], kind: "cell" }]} at={output} width={room}
        letter={tensors.resultLetter} symbols={symbols} onPick={(s) => select(selectOutput(layer, selection, s))}
      />
      <Sum
        name={tensors.map}
        equation={
          symbols.on
            ? equationOf(
                symbolOf(tensors.resultLetter, output, layer.n),
                termsOfOutput(conv, selection.edge, output)
                  .filter((t) => t.inside)
                  .map((t) => [symbolOf("F", t.tap, layer.n), symbolOf(tensors.sourceLetter, t.input, layer.n)]),
              )
            : undefined
        }
        left={symbols.on ? symbolOf(tensors.resultLetter, output, layer.n) : `${tensors.resultLetter}[${at}]`} parts={parts}
        layer={layer} traced={traced} whole={!layer.partial} tolerance={near}
      />
    </div>
  );
}
