// A plane of numbers as a grid: painted on a canvas, walked over by pointer and arrow keys, with marks drawn on top.

import { useEffect, useRef, useState } from "preact/hooks";
import { brief, colour, over, PALETTES, written } from "./numbers";
import { useLook } from "./look";

export interface Mark {
  row: number;
  column: number;
  rows?: number;
  columns?: number;
  kind: "window" | "cell" | "term";
}

export interface GridProps {
  name: string; // for who cannot see it, and for tests
  title: string;
  note?: string;
  rows: number;
  columns: number;
  /** Null: nothing is there (a cell of the padding). */
  value: (row: number, column: number) => number | null;
  most: number; // the number that has the full colour
  symbol?: (row: number, column: number) => string;
  first?: [number, number]; // the index of the first row and column, where they are not 0
  where?: (row: number, column: number) => string; // what a cell is called, where not by its row and column
  marks?: Mark[];
  at?: [number, number]; // the chosen cell
  onPick?: (row: number, column: number) => void;
  onEdit?: (row: number, column: number, value: number) => void;
  width?: number; // of the room there is
  nothing?: string; // what is written where nothing is
  line?: boolean; // there is one direction: cells are called by one number
  plane?: { at: number; of: number; go: (at: number) => void }; // which of several is shown, and how to see another
  of?: unknown[]; // what is painted: it is painted anew when one of these is another; without, always
  largestCell?: number;
}

const TEXT = 27; // pixels that a cell with a number needs
const MARKED = 12; // pixels of a cell below which the terms of a sum are marked together
const GAP = 1;

/** Where cells are small, one mark around all terms in place of one around each. */
function together(marks: Mark[], cell: number): Mark[] {
  const terms = marks.filter((mark) => mark.kind === "term");
  if (terms.length < 2 || (cell >= MARKED && terms.length < 500)) return marks;
  const [row, column] = [Math.min(...terms.map((t) => t.row)), Math.min(...terms.map((t) => t.column))];
  const [last, end] = [Math.max(...terms.map((t) => t.row)), Math.max(...terms.map((t) => t.column))];
  return [{ row, column, rows: last - row + 1, columns: end - column + 1, kind: "term" }, ...marks.filter((mark) => mark.kind !== "term")];
}

function write(context: CanvasRenderingContext2D, text: string, x: number, y: number, cell: number) {
  context.font = `${Math.min(21, cell * 0.36, (cell * 1.5) / Math.max(text.length, 3))}px ui-monospace, Menlo, Consolas, monospace`;
  context.fillText(text, x, y);
}

export function Grid(props: GridProps) {
  const { rows, columns, value, most, symbol, marks = [], at, onPick, onEdit, first = [0, 0] } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<[number, number] | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const room = props.width ?? 420;
  const { theme, large } = useLook();
  const largest = (props.largestCell ?? 46) * (large ? 1.5 : 1);
  const cell = Math.max(rows < 3 ? 4 : 1, Math.min(largest, Math.floor(room / Math.max(columns, rows * 0.8, 1))));
  const tall = rows < 3 ? Math.max(cell, 30) : cell; // a line of numbers is not to be as thin as it is long
  const [width, height] = [columns * cell, rows * tall];

  useEffect(() => {
    const element = canvas.current!;
    const ratio = window.devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    const context = element.getContext("2d")!;
    context.scale(ratio, ratio);
    const palette = PALETTES[theme];
    const gap = cell >= 12 ? GAP : 0;
    context.fillStyle = palette.faint;
    context.fillRect(0, 0, width, height);
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const number = value(row, column);
        const [x, y] = [column * cell, row * tall];
        const paint = number === null ? palette.zero : colour(palette, number, most);
        context.fillStyle = `rgb(${paint})`;
        context.fillRect(x + gap / 2, y + gap / 2, cell - gap, tall - gap);
        if (number === null && cell >= 4) {
          context.strokeStyle = palette.faint;
          context.beginPath();
          context.moveTo(x + 2, y + tall - 2);
          context.lineTo(x + cell - 2, y + 2);
          context.stroke();
        }
        if (cell < TEXT) continue;
        context.fillStyle = over(paint);
        const name = symbol?.(row, column);
        const text = number === null ? (props.nothing ?? "") : brief(number);
        // a name alone, a number alone, or the name with its number below
        const both = name !== undefined && name !== text && text !== "" && cell >= 40;
        write(context, both || name === undefined ? text : name, x + cell / 2, y + tall * (both ? 0.69 : 0.5), cell);
        if (both) write(context, name, x + cell / 2, y + tall * 0.32, cell);
      }
  }, props.of && [...props.of, theme, cell, tall, rows, columns, most, !symbol]);

  const where = (event: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
  };
  const point = (event: PointerEvent) => {
    const place = where(event);
    setHover(place);
    if (onPick && (event.pointerType === "mouse" || event.buttons || event.type === "pointerdown")) onPick(...place);
  };
  const key = (event: KeyboardEvent) => {
    if (editing !== null) return;
    const [row, column] = at ?? [0, 0];
    const step: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (step[event.key] && onPick) {
      event.preventDefault();
      event.stopPropagation();
      const [down, right] = step[event.key];
      onPick(Math.max(0, Math.min(rows - 1, row + down)), Math.max(0, Math.min(columns - 1, column + right)));
    } else if (onEdit && /^[-0-9.]$/.test(event.key)) {
      event.preventDefault();
      setEditing(event.key);
    }
  };
  const commit = () => {
    const number = Number(editing);
    if (at && onEdit && editing !== null && editing.trim() !== "" && Number.isFinite(number)) onEdit(...at, number);
    setEditing(null);
  };
  const shown = hover ?? at ?? null;
  const base = symbol ? 1 : 0; // names count from 1
  const called = (row: number, column: number): string =>
    props.where ? props.where(row, column) : `[${[...(props.line ? [] : [row + first[0] + base]), column + first[1] + base].join(", ")}]`;
  const reading = shown && value(...shown);
  const label = shown
    ? `${called(...shown)}${reading === null ? ", nothing" : ` = ${written(reading as number)}`}`
    : `${rows} × ${columns}`;
  return (
    <figure class="grid" data-grid={props.name} style={{ maxWidth: `${Math.max(width, 215)}px` }}>
      <figcaption>
        <b>{props.title}</b>
        {props.note && <span class="note">{props.note}</span>}
        {props.plane && props.plane.of > 1 && (
          <span class="plane">
            <button type="button" aria-label={`${props.name}, plane before`} disabled={props.plane.at === 0} onClick={() => props.plane!.go(props.plane!.at - 1)}>‹</button>
            plane {props.plane.at} of {props.plane.of}
            <button type="button" aria-label={`${props.name}, plane after`} disabled={props.plane.at === props.plane.of - 1} onClick={() => props.plane!.go(props.plane!.at + 1)}>›</button>
          </span>
        )}
      </figcaption>
      <div
        class={`cells ${onPick ? "live" : ""}`} style={{ width: `${width}px`, height: `${height}px` }} tabIndex={onPick ? 0 : -1}
        role="img" aria-label={`${props.title}. ${label}`} onKeyDown={key} onPointerMove={point} onPointerDown={point}
        onPointerLeave={() => setHover(null)} onDblClick={() => onEdit && at && setEditing("")}
      >
        <canvas ref={canvas} style={{ width: `${width}px`, height: `${height}px` }} />
        {together(marks, cell).map((mark, k) => (
          <i
            key={k} class={`mark ${mark.kind}`}
            style={{
              left: `${mark.column * cell}px`, top: `${mark.row * tall}px`, width: `${(mark.columns ?? 1) * cell}px`,
              height: `${(mark.rows ?? 1) * tall}px`,
            }}
          />
        ))}
        {editing !== null && at && (
          <input
            class="edit" value={editing} ref={(element) => element?.focus()} aria-label="a new number"
            style={{ left: `${at[1] * cell}px`, top: `${at[0] * tall}px`, width: `${Math.max(cell, 48)}px`, height: `${Math.max(cell, 24)}px` }}
            onInput={(event) => setEditing(event.currentTarget.value)} onBlur={commit}
            onKeyDown={(event) => {
              event.stopPropagation();
              if (event.key === "Enter") commit();
              if (event.key === "Escape") setEditing(null);
            }}
          />
        )}
      </div>
      <span class="reading">{label}</span>
    </figure>
  );
}
