// The gradient of one weight: what its tap read, times the gradient of what it wrote, added over all positions that share it.

import { flat, member, reads, term, weightAt, type Three } from "../conv";
import { Grid, type Mark } from "../grid";
import {
  gradOutputPlane, gradOutputValue, inChannel, inChannels, inPlace, inputPlane, inputValue, inSizes, outChannel, outChannels, outPlace,
  outSizes, sum, weightTerms,
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
  const terms = weightTerms(layer, edge, kernel, tap);
  const ours = terms.filter((t) => t.output[0] === selection.output[0]);
  const [x, g] = [inputPlane(layer, sample, inChannel(layer, edge)), gradOutputPlane(layer, sample, outChannel(layer, edge))];
  const parts: SumPart[] = [];
  for (let b = 0; b < layer.batch; b++)
    parts.push({
      label: layer.batch > 1 ? `sample ${b}` : `${terms.filter((t) => t.inside).length} positions`,
      value: sum(layer, b, terms, inputValue, gradOutputValue), chosen: b === sample,
      onPick: layer.batch > 1 ? () => select({ ...selection, sample: b }) : undefined,
    });
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
  const index = weightAt(shapes, edge, kernel, tap);
  const shared = conv.tile.some((count, d) => count < shapes.output[d]);
  const [depthIn, depthOut] = layer.transposed
    ? [selection.output[0], Math.max(0, reads(conv.axes[0], selection.output[0], tap[0]))]
    : [Math.max(0, Math.min(shapes.input[0] - 1, reads(conv.axes[0], selection.output[0], tap[0]))), selection.output[0]];
  const around = aroundOf(layer);
  const none: typeof around = [0, 0, 0, 0];
  // a place of the layer's input or output belongs to the output position that has it at this tap
  const positionAt = (at: Three, of: typeof inPlace) => terms.find((t) => of(layer, t).every((k, d) => k === at[d]))?.output;
  return (
    <div class="stage">
      <Plane
        name="input" title="Input: what the tap read" numbers={x} sizes={inSizes(layer)} depth={depthIn} most={largest(x)} marks={spots(inPlace)}
        around={layer.transposed ? none : around} width={room} letter="x" symbols={symbols} at={inPlace(layer, term(conv, edge, selection.output, tap))}
        onPick={(at) => {
          const s = positionAt(at, inPlace);
          if (s) choose(s);
        }}
        onEdit={(at, value) =>
          edit("input", (sample * inChannels(layer) + inChannel(layer, edge)) * x.length + flat(at, inSizes(layer)), value)
        }
      />
      <Plane
        name="gradOutput" title="Gradient of the output" numbers={g} sizes={outSizes(layer)} depth={depthOut} most={largest(g)}
        marks={spots(outPlace)} around={layer.transposed ? around : none} width={room} letter="∂o" symbols={symbols}
        at={outPlace(layer, term(conv, edge, selection.output, tap))}
        onPick={(at) => {
          const s = positionAt(at, outPlace);
          if (s) choose(s);
        }}
        onEdit={(at, value) =>
          edit("gradOutput", (sample * outChannels(layer) + outChannel(layer, edge)) * g.length + flat(at, outSizes(layer)), value)
        }
      />
      <Grid
        name="product" title={shared ? "Products, added over shared weights" : "Products"} rows={shapes.output[1]} columns={shapes.output[2]} width={room}
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
        left={`∂F[${tap.slice(3 - layer.n).join(", ")}]`} parts={parts} total={parts.reduce((a, part) => a + part.value, 0)}
        traced={layer.changed ? null : layer.gradWeight[index]}
      />
    </div>
  );
}
