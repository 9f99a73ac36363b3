// The convolution as a matrix: a row an output, a column an input, of the chosen pair of channels; an entry is a weight.

import { useEffect, useRef } from "preact/hooks";
import { count, flat, member, place, reads, term, weightAt, type Three } from "../conv";
import type { Layer } from "../data";
import { colour, largest, over, PALETTES, written } from "../numbers";
import { selectInput, selectOutput } from "../selection";
import { useLook } from "../look";
import type { ViewProps } from "./maps";

const CAP = 420; // rows and columns that are drawn; a larger matrix is drawn by parts of it

/** The tap through which an output reads an input, or null. */
function tapOf(layer: Layer, output: Three, input: Three): Three | null {
  const tap: number[] = [];
  for (let d = 0; d < 3; d++) {
    const axis = layer.conv.axes[d];
    let found = -1;
    for (let m = 0; m < axis.kernel; m++) if (reads(axis, output[d], m) === input[d]) found = m;
    if (found < 0) return null;
    tap.push(found);
  }
  return tap as Three;
}

export function Matrix({ layer, selection, select, width }: ViewProps) {
  const { conv, shapes } = layer;
  const { theme } = useLook();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [rows, columns] = [count(shapes.output), count(shapes.input)];
  const step = Math.max(1, Math.ceil(Math.max(rows, columns) / CAP)); // outputs and inputs that one cell stands for
  const [high, wide] = [Math.ceil(rows / step), Math.ceil(columns / step)];
  const cell = Math.max(1, Math.min(28, Math.floor(Math.min((width - 40) / wide, 560 / high))));
  const most = largest(layer.weight);
  const row = flat(selection.output, shapes.output);
  const column = flat(selection.input, shapes.input);

  useEffect(() => {
    const element = canvas.current!;
    const ratio = window.devicePixelRatio || 1;
    element.width = wide * cell * ratio;
    element.height = high * cell * ratio;
    const context = element.getContext("2d")!;
    context.scale(ratio, ratio);
    const palette = PALETTES[theme];
    context.fillStyle = `rgb(${palette.zero})`;
    context.fillRect(0, 0, wide * cell, high * cell);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = "11px ui-monospace, Menlo, Consolas, monospace";
    const gap = cell >= 5 ? 1 : 0;
    for (let r = 0; r < rows; r++) {
      const s = place(r, shapes.output);
      const taps = count(shapes.kernel);
      for (let m = 0; m < taps; m++) {
        const t = term(conv, selection.edge, s, place(m, shapes.kernel));
        if (!t.inside) continue;
        const c = flat(t.input, shapes.input);
        const weight = layer.weight[weightAt(shapes, t.edge, t.kernel, t.tap)];
        const paint = colour(palette, weight, most);
        // entries that are nearly zero are still entries
        const shown = Math.abs(weight) < most * 0.08 ? palette.faint : `rgb(${paint})`;
        context.fillStyle = shown;
        const [x, y] = [Math.floor(c / step) * cell, Math.floor(r / step) * cell];
        context.fillRect(x, y, Math.max(cell - gap, 1), Math.max(cell - gap, 1));
        if (cell >= 26) {
          context.fillStyle = over(paint);
          context.fillText(written(weight), x + cell / 2, y + cell / 2);
        }
      }
    }
  }, [layer, selection.edge, theme, cell]);

  const pick = (event: PointerEvent) => {
    if (event.pointerType !== "mouse" && !event.buttons && event.type !== "pointerdown") return;
    const box = canvas.current!.getBoundingClientRect();
    const r = Math.min(rows - 1, Math.floor(((event.clientY - box.top) / box.height) * high) * step);
    const c = Math.min(columns - 1, Math.floor(((event.clientX - box.left) / box.width) * wide) * step);
    move(Math.max(0, r), Math.max(0, c));
  };
  const move = (r: number, c: number) => {
    const [s, h] = [place(r, shapes.output), place(c, shapes.input)];
    const tap = tapOf(layer, s, h);
    select(tap ? { ...selection, output: s, tap, input: h } : { ...selectOutput(layer, selection, s), input: h });
  };
  const key = (event: KeyboardEvent) => {
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    };
    const by = moves[event.key];
    if (!by) return;
    event.preventDefault();
    move(Math.max(0, Math.min(rows - 1, row + by[0])), Math.max(0, Math.min(columns - 1, column + by[1])));
  };
  const entry = tapOf(layer, selection.output, selection.input);
  const weight = entry ? layer.weight[weightAt(shapes, selection.edge, member(conv, selection.output), entry)] : 0;
  const entries = rows * count(shapes.kernel);
  return (
    <div class="stage single">
      <figure class="grid" data-grid="matrix">
        <figcaption>
          <b>{rows} × {columns} matrix</b>
          <span class="note">
            output channel {layer.outputs[conv.edges[selection.edge][1]]}, input channel {layer.inputs[conv.edges[selection.edge][0]]}; at most {entries} of {rows * columns} entries
            are not zero{step > 1 && `; a point stands for ${step} × ${step} of them`}
          </span>
        </figcaption>
        <div
          class="cells live" style={{ width: `${wide * cell}px`, height: `${high * cell}px` }} tabIndex={0} role="img"
          aria-label={`matrix, row ${row}, column ${column}`} onPointerMove={pick} onPointerDown={pick} onKeyDown={key}
        >
          <canvas ref={canvas} style={{ width: `${wide * cell}px`, height: `${high * cell}px` }} />
          <i class="mark line" style={{ left: 0, top: `${Math.floor(row / step) * cell}px`, width: `${wide * cell}px`, height: `${cell}px` }} />
          <i class="mark line" style={{ top: 0, left: `${Math.floor(column / step) * cell}px`, height: `${high * cell}px`, width: `${cell}px` }} />
        </div>
        <span class="reading">
          row {row} is output [{selection.output.slice(3 - layer.n).join(", ")}], column {column} is input [
          {selection.input.slice(3 - layer.n).join(", ")}]: {entry ? `weight [${entry.slice(3 - layer.n).join(", ")}] = ` : "no weight, "}
          <output data-total={String(weight)}>{written(weight)}</output>
        </span>
      </figure>
      <p class="hint">
        A row is a window, laid out; a column is all that an input reaches. Forward multiplies with this matrix, the gradient of the input with
        its transpose. <button type="button" onClick={() => select(selectInput(layer, selection, selection.input))}>Go to an output that reads this input</button>
      </p>
    </div>
  );
}
