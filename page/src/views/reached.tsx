// A cell and all that reached it: the other side with zeros between and around, under the kernel turned by 180 degrees.

import { edgesFrom, flat, member, termsOfInput, weightAt, type Three } from "../conv";
import { plane } from "../data";
import { Grid, type Mark } from "../grid";
import { biasAt, sum, tolerance, weightOf, weightValue } from "../layer";
import { largest } from "../numbers";
import { Plane, roomOf, Sum, type SumPart } from "../panels";
import { selectInput, selectOutput } from "../selection";
import { equationOf, symbolOf } from "../symbols";
import type { Tensors, ViewProps } from "./maps";

export function Reached({ layer, selection, select, edit, symbols, width, veiled, neutral, tensors }: ViewProps & { tensors: Tensors }) {
  const { conv, shapes } = layer;
  const [i, j] = conv.edges[selection.edge];
  const { input, sample } = selection;
  const read = plane(tensors.source, shapes.output, conv.outChannels, sample, j);
  const written = plane(tensors.result, shapes.input, conv.inChannels, sample, i);
  const sourceOf = (edge: number) => plane(tensors.source, shapes.output, conv.outChannels, sample, conv.edges[edge][1]);
  const edges = edgesFrom(conv, i);
  const totals = edges.map((edge) =>
    sum(layer, sample, termsOfInput(conv, edge, input), (_, __, t) => sourceOf(edge)[flat(t.output, shapes.output)], weightOf),
  );
  const parts: SumPart[] = edges.map((edge, k) => ({
    label: edges.length > 1 || layer.partial ? `channel ${layer.outputs[conv.edges[edge][1]]}` : "the products", value: totals[k].value,
    chosen: edge === selection.edge, onPick: edges.length > 1 ? () => select({ ...selection, edge }) : undefined,
  }));
  if (tensors.biased && layer.bias) parts.push({ label: "bias", always: true, value: biasAt(layer, i, input) });
  const traced = written[flat(input, shapes.input)];
  const near = tolerance(layer, totals, largest(tensors.source), largest(layer.weight), largest(tensors.result));

  // what is read, spread out: place q stands for output s where q = s * stride + reach - 1 - padding
  const axes = conv.axes;
  const reach = axes.map((axis) => axis.dilation * (axis.kernel - 1) + 1);
  const spread = axes.map((axis, d) => axis.size + reach[d] - 1) as Three;
  const spreadTo = (s: number, d: number): number => s * axes[d].stride + reach[d] - 1 - axes[d].padding;
  const source = (d: number, q: number): number | null => {
    const from = q - spreadTo(0, d);
    const s = from / axes[d].stride;
    return from % axes[d].stride === 0 && s >= 0 && s < axes[d].output ? s : null;
  };
  const placeOf = (row: number, column: number): Three | null => {
    const [a, b] = [source(1, row), source(2, column)];
    return a === null || b === null ? null : [depth, a, b];
  };
  const depth = selection.output[0];
  // the cell of the turned kernel at which a tap lies: the tap itself where the kernel is turned already
  const turned = (tap: Three): Three => tap.map((m, d) => (axes[d].flip ? m : axes[d].kernel - 1 - m)) as Three;
  const terms = termsOfInput(conv, selection.edge, input).filter((t) => t.output[0] === depth);
  const met = new Map(terms.map((t) => [flat([0, ...turned(t.tap).slice(1)] as Three, shapes.kernel), t]));
  const one = conv.tile.every((count) => count === 1);
  const own = member(conv, selection.output);
  const weightAtCell = (row: number, column: number): number | null => {
    const t = met.get(flat([0, row, column], shapes.kernel));
    if (t) return weightValue(layer, t);
    if (!one) return null;
    const tap = turned([0, row, column]);
    return layer.weight[weightAt(shapes, selection.edge, own, [selection.tap[0], tap[1], tap[2]])];
  };
  const window: Mark = { row: input[1], column: input[2], rows: reach[1], columns: reach[2], kind: "window" };
  const spots: Mark[] = terms.map((t) => {
    const [, a, b] = t.output.map(spreadTo);
    return { row: a, column: b, kind: t.output.every((s, d) => s === selection.output[d]) ? "cell" : "term" };
  });
  const chosen = turned(selection.tap);
  const pickTerm = (row: number, column: number) => {
    const t = met.get(flat([0, row, column], shapes.kernel));
    if (t) select({ ...selection, output: t.output, tap: t.tap });
  };
  const room = roomOf(width, 2, 440);
  const at = input.slice(3 - layer.n).join(", ");
  const between = axes.some((axis) => axis.stride > 1);
  const mark: Mark[] = [{ row: chosen[1], column: chosen[2], kind: "cell" }];
  return (
    <div class="stage">
      <Grid
        name={tensors.sourceKey} title={`${tensors.sourceTitle}, ${between ? "zeros between and around" : "zeros around"}`}
        note={conv.outChannels > 1 ? `channel ${layer.outputs[j]}` : undefined} nothing="0" rows={spread[1]} columns={spread[2]} most={largest(read)}
        value={(row, column) => {
          const s = placeOf(row, column);
          return s && read[flat(s, shapes.output)];
        }}
        symbol={
          symbols.on
            ? (row, column) => {
                const s = placeOf(row, column);
                return s ? symbolOf(tensors.sourceLetter, s, layer.n) : "0";
              }
            : undefined
        }
        plane={{
          at: depth, of: shapes.output[0],
          go: (to) => select(selectOutput(layer, selection, [to, selection.output[1], selection.output[2]])),
        }}
        marks={[window, ...spots]} width={room} of={[read, layer, depth]}
        where={(row, column) => {
          const s = placeOf(row, column);
          return s ? `[${s.slice(3 - layer.n).map((k) => k + (symbols.on ? 1 : 0)).join(", ")}]` : "a zero put in";
        }}
        at={[1, 2].map((d) => spreadTo(selection.output[d], d)) as [number, number]}
        onPick={(row, column) => {
          const s = placeOf(row, column);
          if (s) select(selectOutput(layer, selection, s));
        }}
        onEdit={(row, column, value) => {
          const s = placeOf(row, column);
          if (s) edit(tensors.sourceKey, (sample * conv.outChannels + j) * read.length + flat(s, shapes.output), value);
        }}
      />
      <div class="column">
        <span class="operator">⊙</span>
        <Grid
          name="turned" line={layer.n === 1} title={veiled ? "Which filter?" : one && !neutral ? "Kernel, turned by 180°" : "The weights that met it"} rows={shapes.kernel[1]} width={190}
          columns={shapes.kernel[2]} most={largest(layer.weight)} value={veiled ? () => null : weightAtCell} at={[chosen[1], chosen[2]]} marks={mark}
          symbol={veiled ? () => "?" : symbols.on ? (row, column) => symbolOf("F", turned([0, row, column]), layer.n) : undefined} onPick={pickTerm}
        />
        <span class="operator">=</span>
        <Grid
          name="product" title="Products" nothing={veiled ? "" : "0"} line={layer.n === 1} rows={shapes.kernel[1]} columns={shapes.kernel[2]} width={190}
          largestCell={symbols.on ? 58 : 46} most={largest(read) * largest(layer.weight)}
          value={(row, column) => {
            const t = met.get(flat([0, row, column], shapes.kernel));
            return t && !veiled ? read[flat(t.output, shapes.output)] * weightValue(layer, t) : null;
          }}
          symbol={
            symbols.on && !veiled
              ? (row, column) => {
                  const t = met.get(flat([0, row, column], shapes.kernel));
                  return t ? `${symbolOf(tensors.sourceLetter, t.output, layer.n)}${symbolOf("F", t.tap, layer.n)}` : "0";
                }
              : undefined
          }
          at={[chosen[1], chosen[2]]} marks={mark} onPick={pickTerm}
        />
      </div>
      <Plane
        name={tensors.map === "forward" ? "output" : "gradInput"} title={tensors.resultTitle}
        note={conv.inChannels > 1 ? `channel ${layer.inputs[i]}` : undefined} numbers={written} sizes={shapes.input} depth={input[0]}
        most={largest(written)} marks={[{ row: input[1], column: input[2], kind: "cell" }]} at={input} width={room}
        letter={tensors.resultLetter} symbols={symbols} onPick={(h) => select(selectInput(layer, selection, h))}
      />
      <Sum
        name={tensors.map}
        equation={
          symbols.on && !veiled
            ? equationOf(
                symbolOf(tensors.resultLetter, input, layer.n),
                termsOfInput(conv, selection.edge, input).map((t) => [
                  symbolOf(tensors.sourceLetter, t.output, layer.n), symbolOf("F", t.tap, layer.n),
                ]),
              )
            : undefined
        }
        left={symbols.on ? symbolOf(tensors.resultLetter, input, layer.n) : `${tensors.resultLetter}[${at}]`} parts={parts}
        layer={layer} traced={traced} whole={!layer.partial} tolerance={near}
      />
    </div>
  );
}
