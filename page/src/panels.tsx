// The two pictures that all three maps are shown by: a window times its kernel, and a cell with all that reached it.

import { flat, member, reads, type Three } from "./conv";
import type { Layer } from "./data";
import { Grid, type Mark } from "./grid";
import { largest, written } from "./numbers";
import type { Selection } from "./selection";
import { symbolOf, type Symbols } from "./symbols";

export interface PlaneProps {
  name: string;
  title: string;
  numbers: Float64Array;
  sizes: Three;
  depth: number; // of the plane that is shown
  most: number;
  marks?: Mark[];
  at?: Three;
  around?: [number, number, number, number]; // rows before and after, columns before and after, of padding
  onPick?: (at: Three) => void;
  onEdit?: (at: Three, value: number) => void;
  width?: number;
  letter?: string;
  symbols?: Symbols;
  note?: string;
}

/** A plane of a tensor, with its padding around it. */
export function Plane(props: PlaneProps) {
  const { numbers, sizes, depth, around = [0, 0, 0, 0], onPick, onEdit, letter, symbols } = props;
  const [up, down, left, right] = around;
  const [, rows, columns] = sizes;
  const there = depth >= 0 && depth < sizes[0];
  const inside = (row: number, column: number) => there && row >= 0 && row < rows && column >= 0 && column < columns;
  const clamp = (row: number, column: number): Three => [
    Math.max(0, Math.min(sizes[0] - 1, depth)), Math.max(0, Math.min(rows - 1, row - up)), Math.max(0, Math.min(columns - 1, column - left)),
  ];
  const marks = (props.marks ?? []).map((mark) => ({ ...mark, row: mark.row + up, column: mark.column + left }));
  const own = props.at ?? [depth, 0, 0];
  const step = onPick && { at: depth, of: sizes[0], go: (to: number) => onPick([to, own[1], own[2]]) };
  return (
    <Grid
      name={props.name} title={props.title} note={props.note} plane={step} nothing="0" line={sizes[0] * rows === 1} rows={rows + up + down} columns={columns + left + right} most={props.most}
      value={(row, column) => (inside(row - up, column - left) ? numbers[flat([depth, row - up, column - left], sizes)] : null)}
      symbol={
        letter && symbols?.on
          ? (row, column) => (inside(row - up, column - left) ? symbolOf(letter, [row - up, column - left], symbols.n) : "0")
          : undefined
      }
      marks={marks} first={[-up, -left]} width={props.width} of={[numbers, depth, sizes, up, down, left, right]} at={props.at && [props.at[1] + up, props.at[2] + left]}
      onPick={onPick && ((row, column) => onPick(clamp(row, column)))}
      onEdit={onEdit && ((row, column, value) => inside(row - up, column - left) && onEdit(clamp(row, column), value))}
    />
  );
}

/** The width of each of so many planes beside the kernels; on a narrow page they lie below each other. */
export const roomOf = (width: number, planes: number, most: number): number =>
  width < 700 ? Math.min(width, most) : Math.min(most, (width - 265) / planes);

/** Rows and columns of padding that windows reach into. */
export function aroundOf(layer: Layer): [number, number, number, number] {
  return layer.conv.axes.slice(1).flatMap((axis) => {
    const ends = [0, axis.output - 1].flatMap((s) => [0, axis.kernel - 1].map((m) => reads(axis, s, m)));
    return [Math.max(0, -Math.min(...ends)), Math.max(0, Math.max(...ends) - axis.size + 1)];
  }) as [number, number, number, number];
}

/** The window of an output: a mark for each tap, so that dilation is seen, and one around them all. */
export function windowMarks(layer: Layer, output: Three, tap: Three): Mark[] {
  const [, y, x] = layer.conv.axes;
  const rows = [0, y.kernel - 1].map((m) => reads(y, output[1], m)).sort((a, b) => a - b);
  const columns = [0, x.kernel - 1].map((m) => reads(x, output[2], m)).sort((a, b) => a - b);
  const marks: Mark[] = [
    { row: rows[0], column: columns[0], rows: rows[1] - rows[0] + 1, columns: columns[1] - columns[0] + 1, kind: "window" },
  ];
  if (y.dilation > 1 || x.dilation > 1)
    for (let a = 0; a < y.kernel; a++)
      for (let b = 0; b < x.kernel; b++)
        marks.push({ row: reads(y, output[1], a), column: reads(x, output[2], b), kind: "term" });
  marks.push({ row: reads(y, output[1], tap[1]), column: reads(x, output[2], tap[2]), kind: "cell" });
  return marks;
}

export interface KernelProps {
  name: string;
  title: string;
  layer: Layer;
  selection: Selection;
  numbers: Float64Array; // the weight, or its gradient
  turned?: boolean;
  onPick?: (tap: Three) => void;
  onEdit?: (tap: Three, value: number) => void;
  letter?: string;
  symbols?: Symbols;
  width?: number;
}

/** One kernel: that of the chosen edge and member of the tile, as it lies or turned by 180 degrees. */
export function Kernel({ name, title, layer, selection, numbers, turned, onPick, onEdit, letter, symbols, width }: KernelProps) {
  const { kernel: sizes, tile } = layer.shapes;
  const own = member(layer.conv, selection.output);
  const size = sizes[0] * sizes[1] * sizes[2];
  const begin = (selection.edge * tile[0] * tile[1] * tile[2] + flat(own, tile)) * size;
  const kernel = numbers.subarray(begin, begin + size);
  const turn = (tap: Three): Three => (turned ? (tap.map((m, d) => sizes[d] - 1 - m) as Three) : tap);
  const depth = selection.tap[0];
  const place = (row: number, column: number): Three => {
    const [, a, b] = turn([0, row, column]);
    return [depth, a, b];
  };
  const [, row, column] = turn(selection.tap);
  const members = tile[0] * tile[1] * tile[2];
  return (
    <Grid
      name={name} title={title} rows={sizes[1]} columns={sizes[2]} most={largest(numbers)} width={width}
      line={layer.n === 1} plane={onPick && { at: depth, of: sizes[0], go: (to) => onPick([to, selection.tap[1], selection.tap[2]]) }}
      note={members > 1 ? `member ${own.slice(3 - layer.n).join(", ")} of the tile` : undefined}
      value={(r, c) => kernel[flat(place(r, c), sizes)]}
      symbol={letter && symbols?.on ? (r, c) => symbolOf(letter, place(r, c).slice(1), symbols.n) : undefined}
      at={[row, column]} marks={[{ row, column, kind: "cell" }]} onPick={onPick && ((r, c) => onPick(place(r, c)))}
      onEdit={onEdit && ((r, c, value) => onEdit(place(r, c), value))}
    />
  );
}

export interface SumPart {
  label: string;
  value: number;
  chosen?: boolean;
  always?: boolean; // shown, however many parts there are
  onPick?: () => void;
}

/** A sum, part by part, and what the library gave. What is not shown of a layer is a part too, and then nothing is left to check. */
export function Sum({ name, layer, left, parts: own, traced, whole, tolerance, equation }: {
  name: string;
  layer: Layer;
  left: string;
  parts: SumPart[];
  traced: number;
  whole: boolean; // all that is summed is shown
  tolerance: number;
  equation?: string; // between symbols
}) {
  const most = 12;
  const sumUp = (of: SumPart[]): number => of.reduce((a, part) => a + part.value, 0);
  const hidden = layer.changed || whole ? 0 : traced - sumUp(own);
  const completed = Math.abs(hidden) > tolerance || Number.isNaN(hidden);
  const parts = completed ? [...own, { label: "what is not shown", always: true, value: hidden }] : own;
  const total = sumUp(parts);
  const shown = parts.filter((part, k) => k < most || part.chosen || part.always);
  const rest = sumUp(parts.filter((part) => !shown.includes(part)));
  const agrees = completed || Object.is(total, traced) || Math.abs(total - traced) <= tolerance;
  const verdict = completed ? "the whole sum is PyTorch's" : agrees ? "as PyTorch gave it" : `PyTorch gave ${written(traced)}`;
  return (
    <div class="sum" data-sum={name}>
      {equation && <span class="equation">{equation}</span>}
      <span class="left">{left} =</span>
      {shown.map((part, k) => (
        <span key={k}>
          {k > 0 && <span class="plus"> + </span>}
          <button type="button" class={part.chosen ? "part chosen" : "part"} disabled={!part.onPick} onClick={part.onPick}>
            <small>{part.label}</small> {written(part.value)}
          </button>
        </span>
      ))}
      {parts.length > shown.length && <span class="part"> + <small>{parts.length - shown.length} more</small> {written(rest)}</span>}
      <span class="equals"> = </span>
      <output data-total={String(total)}>{written(total)}</output>
      {!layer.changed && <span class={`check ${completed ? "given" : agrees ? "" : "wrong"}`}>{verdict}</span>}
      {layer.changed && !whole && <span class="message"> of what is shown here alone</span>}
    </div>
  );
}
