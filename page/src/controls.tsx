// What the reader may change: stride, padding, dilation and tile, in each direction.

import { geometryOf, type Geometry } from "./change";
import type { Three } from "./conv";
import type { Layer } from "./data";

const LABELS: Record<keyof Geometry, string> = { stride: "stride", padding: "padding", dilation: "dilation", tile: "tile" };

export function Controls({ layer, change, reset, message }: {
  layer: Layer;
  change: (geometry: Geometry) => void;
  reset: (() => void) | null;
  message: string;
}) {
  const geometry = geometryOf(layer);
  const directions = Array.from({ length: layer.n }, (_, k) => 3 - layer.n + k);
  const set = (name: keyof Geometry, d: number, value: number) => {
    const next = [...geometry[name]] as Three;
    next[d] = value;
    change({ ...geometry, [name]: next });
  };
  const kinds: [string, Three][] = [
    ["shared", [1, 1, 1]],
    ["tiled", layer.shapes.output.map((size, d) => (d < 3 - layer.n ? 1 : Math.min(2, size))) as Three],
    ["local", layer.shapes.output],
  ];
  const isLocal = layer.conv.tile.every((t, d) => t === layer.shapes.output[d]);
  const kind = layer.conv.tile.every((t) => t === 1) ? "shared" : isLocal ? "local" : "tiled";
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      <div class="kinds" role="group" aria-label="kind">
        {kinds.map(([name, tile]) => (
          <button key={name} type="button" aria-pressed={kind === name} onClick={() => change({ ...geometry, tile })}>{name}</button>
        ))}
      </div>
      {(Object.keys(LABELS) as (keyof Geometry)[]).map((name) => (
        <fieldset key={name}>
          <legend>{LABELS[name]}</legend>
          {directions.map((d) => (
            <input
              key={d} type="number" min={name === "padding" ? 0 : 1} max={64} value={geometry[name][d]}
              aria-label={`${name}${directions.length > 1 ? `, direction ${d - (3 - layer.n)}` : ""}`}
              onInput={(event) => {
                const value = event.currentTarget.valueAsNumber;
                if (Number.isInteger(value) && value >= (name === "padding" ? 0 : 1) && value <= 64) set(name, d, value);
              }}
            />
          ))}
        </fieldset>
      ))}
      {reset && <button type="button" class="reset" onClick={reset}>as it was</button>}
      <span class="message" role="status">{message}</span>
    </form>
  );
}
