// A window of what is read, entry by entry times a kernel, summed up: what a convolution writes at one place.

import { edgesInto, flat, reads, term, termsOfOutput, weightAt, type Term, type Three } from "../conv";
import { plane } from "../data";
import { biasAt } from "../layer";
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
  const product = (t: Term, from: Float64Array) =>
    t.inside ? from[flat(t.input, shapes.input)] * layer.weight[weightAt(shapes, t.edge, t.kernel, t.tap)] : 0;
  const sumOf = (edge: number) => {
    const from = plane(tensors.source, shapes.input, conv.inChannels, sample, conv.edges[edge][0]);
    return termsOfOutput(conv, edge, output).reduce((total, t) => total + product(t, from), 0);
  };
  const edges = edgesInto(conv, j);
  const parts: SumPart[] = edges.map((edge) => ({
    label: edges.length > 1 ? `channel ${conv.edges[edge][0]}` : "the products", value: sumOf(edge), chosen: edge === selection.edge,
    onPick: edges.length > 1 ? () => select({ ...selection, edge }) : undefined,
  }));
  if (tensors.biased && layer.bias) parts.push({ label: "bias", always: true, value: biasAt(layer, j, output) });
  const traced = written[flat(output, shapes.output)];
  if (layer.partial && !layer.changed)
    parts.push({ label: "channels not shown", always: true, value: traced - parts.reduce((a, part) => a + part.value, 0) });
  const room = roomOf(width, 2, 440);
  const at = output.slice(3 - layer.n).join(", ");
  const tapOf = (row: number, column: number): Three => [tap[0], row, column];
  return (
    <div class="stage">
      <Plane
        name={tensors.sourceKey} title={tensors.sourceTitle} note={conv.inChannels > 1 ? `channel ${i}` : undefined} numbers={read}
        sizes={shapes.input} depth={Math.max(0, Math.min(shapes.input[0] - 1, reads(conv.axes[0], output[0], tap[0])))}
        most={largest(read)} around={aroundOf(layer)} marks={windowMarks(layer, output, tap)} at={selection.input} width={room}
        letter={tensors.sourceLetter} symbols={symbols} onPick={(h) => select(selectInput(layer, selection, h))}
        onEdit={(h, value) => edit(tensors.sourceKey, (sample * conv.inChannels + i) * read.length + flat(h, shapes.input), value)}
      />
      <div class="column">
        <span class="operator">⊙</span>
        <Kernel
          name="kernel" title="Kernel" layer={layer} selection={selection} numbers={layer.weight} width={190} letter="F" symbols={symbols}
          onPick={(m) => select(selectTap(layer, selection, m))}
          onEdit={(m, value) => edit("weight", weightAt(shapes, selection.edge, term(conv, selection.edge, output, m).kernel, m), value)}
        />
        <span class="operator">=</span>
        <Grid
          name="product" title="Hadamard product" rows={shapes.kernel[1]} columns={shapes.kernel[2]} width={190}
          largestCell={symbols.on ? 58 : 46} most={largest(read) * largest(layer.weight)}
          value={(row, column) => {
            const t = term(conv, selection.edge, output, tapOf(row, column));
            return t.inside ? product(t, read) : null;
          }}
          symbol={
            symbols.on
              ? (row, column) => {
                  const t = term(conv, selection.edge, output, tapOf(row, column));
                  return t.inside ? `${symbolOf("F", t.tap, layer.n)}${symbolOf(tensors.sourceLetter, t.input, layer.n)}` : "0";
                }
              : undefined
          }
          at={[tap[1], tap[2]]} marks={[{ row: tap[1], column: tap[2], kind: "cell" }]}
          onPick={(row, column) => select(selectTap(layer, selection, tapOf(row, column)))}
        />
      </div>
      <Plane
        name={tensors.map === "forward" ? "output" : "gradInput"} title={tensors.resultTitle}
        note={conv.outChannels > 1 ? `channel ${j}` : undefined} numbers={written} sizes={shapes.output} depth={output[0]}
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
        left={`${tensors.resultLetter}[${at}]`} parts={parts} total={parts.reduce((a, part) => a + part.value, 0)}
        traced={layer.changed ? null : traced}
      />
    </div>
  );
}
