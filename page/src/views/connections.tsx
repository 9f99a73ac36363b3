// Who is connected with whom: positions, coloured by the kernel's weight that joins them, for each kind; and channels.

import { member, place, reads, type Axis, type Three } from "../conv";
import { plane, type Layer } from "../data";
import { inChannels, inNames, outChannels, outNames } from "../layer";
import { kindOf, largest } from "../numbers";
import { Plane } from "../panels";
import { selectInput, selectOutput } from "../selection";
import type { ViewProps } from "./maps";

const SHOWN = 9; // outputs of a row that are drawn
const CHANNELS = 24;

/** a to z, then a′ to z′ and so on: a name for each weight. */
const letterOf = (weight: number): string => String.fromCharCode(97 + (weight % 26)) + "′".repeat(Math.floor(weight / 26));

/** One row of positions: inputs below, outputs above, a line a weight. A colour is a kernel, a letter a weight. */
function Row({ axis, tile, title, note, chosen, input, onPick, onInput }: {
  axis: Axis;
  tile: number;
  title: string;
  note: string;
  chosen: number;
  input: number;
  onPick?: (s: number) => void;
  onInput?: (h: number) => void;
}) {
  const outputs = Math.min(axis.output, SHOWN);
  const first = Math.max(0, Math.min(chosen - Math.floor(outputs / 2), axis.output - outputs));
  const range = Array.from({ length: outputs }, (_, k) => first + k);
  const low = Math.min(...range.flatMap((s) => [reads(axis, s, 0), reads(axis, s, axis.kernel - 1)]));
  const high = Math.max(...range.flatMap((s) => [reads(axis, s, 0), reads(axis, s, axis.kernel - 1)]));
  const places = Array.from({ length: high - low + 1 }, (_, k) => low + k);
  const gap = Math.min(56, 460 / Math.max(places.length, 1));
  const x = (h: number) => 14 + (h - low) * gap;
  const middle = (s: number) => x((reads(axis, s, 0) + reads(axis, s, axis.kernel - 1)) / 2);
  const weights = Math.min(tile, axis.output) * axis.kernel;
  const letters = gap >= 20 && axis.kernel <= 5;
  return (
    <figure class="row">
      <figcaption><b>{title}</b><span class="note">{note}</span></figcaption>
      <svg viewBox={`0 0 ${28 + (places.length - 1) * gap} 118`} style={{ maxWidth: `${28 + (places.length - 1) * gap}px` }} role="img" aria-label={`${title}: ${weights} weights`}>
        {range.flatMap((s) =>
          Array.from({ length: axis.kernel }, (_, m) => {
            const h = reads(axis, s, m);
            const active = s === chosen || h === input;
            return (
              <line
                key={`${s},${m}`} x1={middle(s)} y1={22} x2={x(h)} y2={96} style={{ stroke: kindOf(s % tile) }}
                class={active ? "wire active" : "wire"} stroke-dasharray={h < 0 || h >= axis.size ? "3 3" : undefined}
              />
            );
          }),
        )}
        {letters && range.flatMap((s) =>
          Array.from({ length: axis.kernel }, (_, m) => {
            const h = reads(axis, s, m);
            const [ax, bx] = [middle(s), x(h)];
            const part = axis.kernel > 3 ? 0.27 + 0.22 * (s % 2) : 0.36; // near the output, where lines do not cross yet
            return (
              <text key={`t${s},${m}`} class={s === chosen || h === input ? "letter active" : "letter"} x={ax + (bx - ax) * part} y={22 + 74 * part + 3} style={{ fill: kindOf(s % tile) }}>
                {letterOf((s % tile) * axis.kernel + m)}
              </text>
            );
          }),
        )}
        {range.map((s) => (
          <g key={s} class={onPick ? "node live" : "node"} onPointerEnter={() => onPick?.(s)} onClick={() => onPick?.(s)}>
            <circle cx={middle(s)} cy={18} r={9} class={s === chosen ? "chosen" : ""} />
            <text x={middle(s)} y={21.5}>{s}</text>
          </g>
        ))}
        {places.map((h) => {
          const outside = h < 0 || h >= axis.size;
          return (
            <g key={h} class={onInput && !outside ? "node live" : "node"} onPointerEnter={() => !outside && onInput?.(h)} onClick={() => !outside && onInput?.(h)}>
              <circle cx={x(h)} cy={100} r={9} class={outside ? "outside" : h === input ? "chosen" : ""} />
              <text x={x(h)} y={103.5}>{outside ? "0" : h}</text>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

function Channels({ layer, edge, onPick }: { layer: Layer; edge: number; onPick: (edge: number) => void }) {
  const [ins, outs] = [inChannels(layer), outChannels(layer)];
  if (ins === 1 && outs === 1) return null;
  const [from, to] = layer.transposed ? [1, 0] : [0, 1];
  const [below, above] = [layer.conv.edges[edge][from], layer.conv.edges[edge][to]];
  const most = Math.min(Math.max(ins, outs), CHANNELS);
  const gap = Math.max(16, 330 / most);
  const x = (channel: number, many: number) => 14 + ((Math.min(many, CHANNELS) > 1 ? channel / (Math.min(many, CHANNELS) - 1) : 0.5) * (most - 1)) * gap;
  const hidden = Math.max(ins, outs) > CHANNELS;
  // of many channels, a stretch around the chosen ones
  const first = (now: number, many: number) => Math.max(0, Math.min(now - CHANNELS / 2, many - CHANNELS));
  const [low, high] = [first(below, ins), first(above, outs)];
  return (
    <figure class="row channels">
      <figcaption>
        <b>Channels</b>
        <span class="note">
          outputs above, inputs below; output {outNames(layer)[above]} reads {layer.conv.edges.filter((e) => e[to] === above).length} of {ins}{hidden && `; ${CHANNELS} are drawn`}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${28 + (most - 1) * gap} 118`} style={{ maxWidth: `${28 + (most - 1) * gap}px` }} role="img" aria-label="the channel graph">
        {layer.conv.edges.map((e, k) =>
          e[from] >= low && e[from] < low + CHANNELS && e[to] >= high && e[to] < high + CHANNELS ? (
            <line
              key={k} x1={x(e[to] - high, outs)} y1={22} x2={x(e[from] - low, ins)} y2={96} class={e[to] === above || e[from] === below ? "wire active" : "wire"}
              style={{ stroke: e[to] === above ? "var(--accent)" : e[from] === below ? "var(--warm)" : "var(--soft)" }}
            />
          ) : null,
        )}
        {[["output", outs, 18, to, above, high] as const, ["input", ins, 100, from, below, low] as const].map(([name, many, y, end, now, begin]) =>
          Array.from({ length: Math.min(many, CHANNELS) }, (_, k) => {
            const channel = begin + k;
            const other = layer.conv.edges.findIndex((e) => e[end] === channel);
            return (
              <g key={`${name}${channel}`} class="node live" onPointerEnter={() => other >= 0 && onPick(other)} onClick={() => other >= 0 && onPick(other)}>
                <circle cx={x(k, many)} cy={y} r={8} class={channel === now ? "chosen" : ""} />
                <text x={x(k, many)} y={y + 3.5}>{(name === "output" ? outNames : inNames)(layer)[channel]}</text>
              </g>
            );
          }),
        )}
      </svg>
    </figure>
  );
}

/** The network's input, and what the chosen output sees of it, through all layers before. */
function Seen({ layer, selection }: Pick<ViewProps, "layer" | "selection">) {
  const { network, field } = layer;
  if (!network || !field) return null;
  const cell = layer.transposed ? selection.input : selection.output;
  const [rows, columns] = [1, 2].map((d) => {
    const begin = Math.floor(field[d].start + cell[d] * field[d].jump);
    const end = Math.ceil(field[d].start + cell[d] * field[d].jump + field[d].size);
    const size = network.sizes[d];
    return field[d].wraps && (begin < 0 || end > size) ? [0, size] : [begin, end - begin];
  });
  const numbers = plane(network.input, network.sizes, network.channels, selection.sample, 0);
  const before = (span: number[]) => Math.max(0, -span[0]);
  const after = (span: number[], size: number) => Math.max(0, span[0] + span[1] - size);
  return (
    <Plane
      name="seen" title="Receptive field" numbers={numbers} sizes={network.sizes} depth={0} most={largest(numbers)} width={330}
      note={`${field.slice(3 - layer.n).map((f) => f.size).join(" × ")} of the network's input${network.channels > 1 ? ", channel 0" : ""}`}
      around={[before(rows), after(rows, network.sizes[1]), before(columns), after(columns, network.sizes[2])]}
      marks={[{ row: rows[0], column: columns[0], rows: rows[1], columns: columns[1], kind: "window" }]}
    />
  );
}

export function Connections({ layer, selection, select }: ViewProps) {
  const { conv } = layer;
  const axis = conv.axes[2];
  const own = conv.tile[2];
  const output = (s: number): Three => [selection.output[0], selection.output[1], s];
  const input = (h: number): Three => [selection.input[0], selection.input[1], h];
  const common = {
    axis, chosen: selection.output[2], input: selection.input[2], onPick: (s: number) => select(selectOutput(layer, selection, output(s))),
    onInput: (h: number) => select(selectInput(layer, selection, input(h))),
  };
  const taps = axis.kernel;
  const between = own > 1 && own < axis.output ? own : Math.min(2, axis.output);
  const is = (tile: number) => (tile === own ? " — this layer" : "");
  const at = member(conv, selection.output);
  return (
    <div class="stage rows">
      <Row {...common} tile={1} title={`Shared${is(1)}`} note={`one kernel for all positions: ${taps} weights`} />
      {axis.output > 1 && between > 1 && between < axis.output && (
        <Row {...common} tile={between} title={`Tiled${is(between)}`} note={`${between} kernels take turns: ${between * taps} weights`} />
      )}
      {axis.output > 1 && (
        <Row {...common} tile={axis.output} title={`Local${is(axis.output)}`} note={`a kernel for each position: ${axis.output * taps} weights`} />
      )}
      <Channels layer={layer} edge={selection.edge} onPick={(edge) => select({ ...selection, edge })} />
      <Seen layer={layer} selection={selection} />
      <p class="hint">
        {layer.transposed ? "Below is what the convolution reads, which this layer, its transpose, writes. " : ""}
        A colour is one kernel, a letter one weight{layer.n > 1 && "; one row of positions is drawn"}. Output [{selection.output.slice(3 - layer.n).join(", ")}] uses
        {" "}kernel [{at.slice(3 - layer.n).join(", ")}] of {place(conv.tile[0] * conv.tile[1] * conv.tile[2] - 1, conv.tile).map((k) => k + 1).slice(3 - layer.n).join(" × ")}.
      </p>
    </div>
  );
}
