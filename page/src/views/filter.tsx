// The gradient of one weight: what its tap read, times the gradient of what it wrote, added over all positions that share it.

import { flat, member, reads, term, termsOfWeight, weightAt, type Three } from "../conv";
import { Grid, type Mark } from "../grid";
import {
  gradOutputPlane, gradOutputValue, inChannel, inChannels, inPlace, inputPlane, inputValue, inSizes, outChannel, outChannels, outPlace,
  outSizes, sum, tolerance,
} from "../layer";
import { largest } from "../numbers";
import { aroundOf, Kernel, Plane, roomOf, Sum, type SumPart } from "../panels";
import { selectKernel, selectOutput, selectTap } from "../selection";
import { equationOf, symbolOf } from "../symbols";
import type { ViewProps } from "./maps";

export function FilterGradient({ layer, selection, select, edit, symbols, width }: ViewProps) {
  const { conv, shapes } = layer;
  const { sample, edge, tap } = selection;
  const kernel = member(conv, selection.output);
  const terms = termsOfWeight(conv, edge, kernel, tap);
  const ours = terms.filter((t) => t.output[0] === selection.output[0]);
  const [x, g] = [inputPlane(layer, sample, inChannel(layer, edge)), gradOutputPlane(layer, sample, outChannel(layer, edge))];
  const samples = Array.from({ length: layer.batch }, (_, b) => b);
  const totals = samples.map((b) => sum(layer, b, terms, inputValue, gradOutputValue));
  const parts: SumPart[] = samples.map((b) => ({
    label: layer.batch > 1 || layer.moreSamples ? `sample ${b}` : `${terms.filter((t) => t.inside).length} positions`,
    value: totals[b].value, chosen: b === sample, onPick: layer.batch > 1 ? () => select({ ...selection, sample: b }) : undefined,
  }));
  const traced = layer.gradWeight[weightAt(shapes, edge, kernel, tap)];
  const near = tolerance(layer, totals, largest(layer.input), largest(layer.gradOutput), largest(layer.gradWeight));
  const spots = (of: typeof inPlace): Mark[] =>
    ours
      .filter((t) => t.inside)
      .map((t) => {
        const [, row, column] = of(layer, t);
        return { row, column, kind: t.output.every((s, d) => s === selection.output[d]) ? "cell" : "term" };
      });
  const product = (s: Three): number | null => {
    const t = term(conv, edge, s, tap);
    const used = s.every((at, d) => at % conv.tile[d] === kernel[d]);
    return used && t.inside ? inputValue(layer, sample, t) * gradOutputValue(layer, sample, t) : null;
  };
  const choose = (s: Three) => select(selectOutput(layer, selection, s));
  const room = roomOf(width, 3, 360);
  const shared = conv.tile.some((count, d) => count < shapes.output[d]);
  const [depthIn, depthOut] = layer.transposed
    ? [selection.output[0], reads(conv.axes[0], selection.output[0], tap[0])]
    : [reads(conv.axes[0], selection.output[0], tap[0]), selection.output[0]];
  const around = aroundOf(layer);
  const none: typeof around = [0, 0, 0, 0];
  // the output position that has read this place of the convolution's input through the tap
  const readerOf = (input: Three): Three | null => {
    const s = conv.axes.map((axis, d) => (input[d] + axis.padding - (axis.flip ? axis.kernel - 1 - tap[d] : tap[d]) * axis.dilation) / axis.stride);
    return s.every((at, d) => Number.isInteger(at) && at >= 0 && at < shapes.output[d]) ? (s as Three) : null;
  };
  const pick = (of: "read" | "written") => (at: Three) => {
    const s = (of === "read") === layer.transposed ? at : readerOf(at);
    if (s && s.every((k, d) => k % conv.tile[d] === kernel[d])) choose(s);
  };
  return (
    <div class="stage">
      <Plane
        name="input" title="Input: what the tap read" numbers={x} sizes={inSizes(layer)} depth={depthIn} most={largest(x)} marks={spots(inPlace)}
        around={layer.transposed ? none : around} width={room} letter="x" symbols={symbols} at={inPlace(layer, term(conv, edge, selection.output, tap))}
        onPick={pick("read")}
        onEdit={(at, value) =>
          edit("input", (sample * inChannels(layer) + inChannel(layer, edge)) * x.length + flat(at, inSizes(layer)), value)
        }
      />
      <Plane
        name="gradOutput" title="Gradient of the output" numbers={g} sizes={outSizes(layer)} depth={depthOut} most={largest(g)}
        marks={spots(outPlace)} around={layer.transposed ? around : none} width={room} letter="∂o" symbols={symbols}
        at={outPlace(layer, term(conv, edge, selection.output, tap))}
        onPick={pick("written")}
        onEdit={(at, value) =>
          edit("gradOutput", (sample * outChannels(layer) + outChannel(layer, edge)) * g.length + flat(at, outSizes(layer)), value)
        }
      />
      <Grid
        name="product" line={layer.n === 1} title={shared ? "Products, added over shared weights" : "Products"} rows={shapes.output[1]} columns={shapes.output[2]} width={room}
        note={conv.tile.some((count) => count > 1) ? "hatched: another kernel's" : undefined}
        most={largest(x) * largest(g)} value={(row, column) => product([selection.output[0], row, column])}
        symbol={
          symbols.on
            ? (row, column) => {
                const t = term(conv, edge, [selection.output[0], row, column], tap);
                return t.inside ? `${symbolOf("∂o", outPlace(layer, t), layer.n)}${symbolOf("x", inPlace(layer, t), layer.n)}` : "0";
              }
            : undefined
        }
        largestCell={symbols.on ? 62 : 46}
        at={[selection.output[1], selection.output[2]]} marks={[{ row: selection.output[1], column: selection.output[2], kind: "cell" }]}
        onPick={(row, column) => {
          const s: Three = [selection.output[0], row, column];
          if (s.every((at, d) => at % conv.tile[d] === kernel[d])) choose(s);
        }}
      />
      <div class="column">
        <Kernel
          name="gradWeight" title="Gradient of the kernel" layer={layer} selection={selection} numbers={layer.gradWeight} width={190} letter="∂F"
          symbols={symbols} onPick={(m) => select(selectTap(layer, selection, m))}
        />
        {conv.tile.some((count) => count > 1) && (
          <Grid
            name="tile" title="Which kernel of the tile" rows={conv.tile[1]} columns={conv.tile[2]} width={190} largestCell={22} most={1}
            plane={{ at: kernel[0], of: conv.tile[0], go: (to) => select(selectKernel(layer, selection, [to, kernel[1], kernel[2]])) }}
            value={() => 0} at={[kernel[1], kernel[2]]} marks={[{ row: kernel[1], column: kernel[2], kind: "cell" }]}
            onPick={(row, column) => select(selectKernel(layer, selection, [kernel[0], row, column]))}
          />
        )}
      </div>
      <Sum
        name="weight"
        equation={
          symbols.on
            ? equationOf(
                symbolOf("∂F", tap, layer.n),
                terms.filter((t) => t.inside).map((t) => [symbolOf("∂o", outPlace(layer, t), layer.n), symbolOf("x", inPlace(layer, t), layer.n)]),
              )
            : undefined
        }
        left={symbols.on ? symbolOf("∂F", tap, layer.n) : `∂F[${tap.slice(3 - layer.n).join(", ")}]`} parts={parts}
        layer={layer} traced={traced} whole={!layer.moreSamples && !layer.partial} tolerance={near}
      />
    </div>
  );
}
