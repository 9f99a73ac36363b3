// The page: one layer and one selection, seen by five views; and the tour, which brings its own layers.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { changed, edited, type Geometry } from "./change";
import { Controls } from "./controls";
import { count, flat, place, type Three } from "./conv";
import { spell, type Content, type Layer } from "./data";
import { inChannel, inChannels, inNames, outChannel, outChannels, outNames } from "./layer";
import { Neuron } from "./neuron";
import { PALETTES } from "./numbers";
import {
  fit, selectInChannel, selectInput, selectOutChannel, selectOutput, selectTap, start, type Selection,
} from "./selection";
import { LookContext, systemTheme, type Theme } from "./look";
import { STEPS } from "./tour";
import { Connections } from "./views/connections";
import { FilterGradient } from "./views/filter";
import { Forward, InputGradient, type ViewProps } from "./views/maps";
import { Matrix } from "./views/matrix";

export type ViewName = "forward" | "filter" | "input" | "matrix" | "connections";
const VIEWS: [ViewName, string, (props: ViewProps) => preact.JSX.Element][] = [
  ["forward", "Forward", Forward],
  ["filter", "Filter gradient", FilterGradient],
  ["input", "Input gradient", InputGradient],
  ["matrix", "Matrix", Matrix],
  ["connections", "Connections", Connections],
];

interface State {
  of: Layer;
  base: Layer;
  layer: Layer;
  selection: Selection;
}

export function App({ content }: { content: Content }) {
  const hash = window.location.hash.slice(1); // a step of the tour, or view=NAME
  const first = STEPS.findIndex((step) => step.id === hash);
  const [theme, setTheme] = useState<Theme>(systemTheme());
  const [large, setLarge] = useState(false);
  const [step, setStep] = useState<number | null>(first >= 0 ? first : null);
  const [asked, setAsked] = useState(false); // whether the question of a step is answered
  const [number, setNumber] = useState(0);
  const [view, setView] = useState<ViewName>(first >= 0 ? STEPS[first].view : (VIEWS.find(([name]) => `view=${name}` === hash)?.[0] ?? "forward"));
  const original = useMemo(() => (step === null ? spell(content.layers[number], content) : STEPS[step].layer()), [content, number, step]);
  // `base` has the numbers as they were last written: a geometry is tried out on them, whatever was tried out before
  const begin = (): State => ({ of: original, base: original, layer: original, selection: start(original, step === null ? undefined : STEPS[step].at) });
  const [state, setState] = useState<State>(begin);
  const [message, setMessage] = useState("");
  const [symbols, setSymbols] = useState(first >= 0 && !!STEPS[first].symbols);
  const [playing, setPlaying] = useState(false);
  const [width, setWidth] = useState(1200);
  const main = useRef<HTMLElement>(null);

  const now = state.of === original ? state : begin();
  const { layer, selection } = now;
  const select = (next: Selection) => setState({ ...now, selection: next });
  const follow = (next: Layer | string, written: boolean) => {
    setMessage(typeof next === "string" ? next : "");
    if (typeof next !== "string") setState({ of: original, base: written ? next : now.base, layer: next, selection: fit(next, selection) });
  };
  const change = (geometry: Geometry) => follow(changed(now.base, geometry), false);
  const go = (next: number | null) => {
    setStep(next);
    setAsked(false);
    setMessage("");
    setPlaying(false);
    if (next !== null) setView(STEPS[next].view);
    setSymbols(next !== null && !!STEPS[next].symbols);
    history.replaceState(null, "", next === null ? `#view=${view}` : `#${STEPS[next].id}`);
  };
  const forth = () => {
    if (step === null) return;
    if (STEPS[step].question && !asked) setAsked(true);
    else if (step < STEPS.length - 1) go(step + 1);
  };
  const back = () => step !== null && step > 0 && go(step - 1);

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    observer.observe(main.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.large = String(large);
  }, [theme, large]);
  useLayoutEffect(() => {
    // at once and not after the next paint: of two quick keys the second has to find the step that the first went to
    const key = (event: KeyboardEvent) => {
      const writing = (event.target as HTMLElement).matches?.("input, select");
      if (writing && !event.key.startsWith("Page")) return; // a clicker works wherever one has been
      if (step !== null && ["PageDown", "ArrowRight"].includes(event.key)) forth();
      else if (step !== null && ["PageUp", "ArrowLeft"].includes(event.key)) back();
      else if (/^[1-5]$/.test(event.key) && !(event.target as HTMLElement).closest?.(".cells")) setView(VIEWS[Number(event.key) - 1][0]);
      else if (event.key === "Escape" && step !== null) go(null);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  });
  useEffect(() => {
    if (window.parent === window) return; // in a notebook, what is looked at can be read from there
    const [i, j] = layer.conv.edges[selection.edge];
    const own = (at: number[]) => at.slice(3 - layer.n);
    window.parent.postMessage(
      {
        convarium: {
          layer: layer.name, view, sample: selection.sample, in_channel: layer.inputs[i], out_channel: layer.outputs[j], output: own(selection.output),
          tap: own(selection.tap), input: own(selection.input),
        },
      },
      "*",
    );
  }, [layer, selection, view]);
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => setState((old) => ({ ...old, selection: advance(old.layer, old.selection, view) })), 450);
    return () => clearInterval(timer);
  }, [playing, view]);

  const View = VIEWS.find(([name]) => name === view)![2];
  const palette = PALETTES[theme];
  const many = Math.max(inChannels(layer), outChannels(layer)) > 1;
  return (
    <LookContext.Provider value={{ theme, large }}>
      <header>
        <h1>convarium <span>{step === null ? content.title : "the tour"}</span></h1>
        <div class="choices">
          {step === null && content.layers.length > 1 && (
            <label>layer
              <select aria-label="layer" value={number} onChange={(event) => { setNumber(Number(event.currentTarget.value)); setMessage(""); }}>
                {content.layers.map((each, k) => <option key={k} value={k}>{each.name} ({each.kind}{each.transposed && ", transposed"})</option>)}
              </select>
            </label>
          )}
          {layer.batch > 1 && (
            <label>sample
              <select aria-label="sample" value={selection.sample} onChange={(event) => select({ ...selection, sample: Number(event.currentTarget.value) })}>
                {Array.from({ length: layer.batch }, (_, k) => <option key={k} value={k}>{k}</option>)}
              </select>
            </label>
          )}
          {many && (
            <>
              <label>output channel
                <select aria-label="output channel" value={outChannel(layer, selection.edge)} onChange={(event) => select(selectOutChannel(layer, selection, Number(event.currentTarget.value)))}>
                  {outNames(layer).map((name, k) => <option key={k} value={k}>{name}</option>)}
                </select>
              </label>
              <label>input channel
                <select aria-label="input channel" value={inChannel(layer, selection.edge)} onChange={(event) => select(selectInChannel(layer, selection, Number(event.currentTarget.value)))}>
                  {inNames(layer).map((name, k) => <option key={k} value={k}>{name}</option>)}
                </select>
              </label>
            </>
          )}
        </div>
        <div class="tools">
          <button type="button" aria-pressed={step !== null} onClick={() => go(step === null ? 0 : null)}>{step === null ? "Tour" : "End the tour"}</button>
          <button type="button" aria-pressed={symbols} onClick={() => setSymbols(!symbols)} title="names of cells, as on slides">x₁₁</button>
          <button type="button" aria-pressed={large} onClick={() => setLarge(!large)} title="for a projector">A+</button>
          <button type="button" onClick={() => setTheme(theme === "light" ? "dark" : "light")} title="light or dark">{theme === "light" ? "Dark" : "Light"}</button>
        </div>
      </header>
      {step !== null && (
        <section class="tour" aria-live="polite">
          <button type="button" onClick={back} disabled={step === 0} aria-label="back">‹</button>
          <div>
            <h2>{step + 1}. {STEPS[step].title}</h2>
            {STEPS[step].question && <p class="question">{STEPS[step].question}</p>}
            {(!STEPS[step].question || asked) && <p>{STEPS[step].text}</p>}
            {STEPS[step].neuron && <Neuron />}
            {STEPS[step].formula && (!STEPS[step].question || asked) && <p class="formula">{STEPS[step].formula}</p>}
          </div>
          <button type="button" onClick={forth} disabled={step === STEPS.length - 1} aria-label="forth">›</button>
        </section>
      )}
      {step !== null && (
        <section class="handout">
          {STEPS.map((each, k) => (
            <article key={each.id}>
              <h2>{k + 1}. {each.title}</h2>
              <p>{each.question}</p>
              <p>{each.text}</p>
              {each.formula && <p class="formula">{each.formula}</p>}
            </article>
          ))}
        </section>
      )}
      <nav role="tablist">
        {VIEWS.map(([name, title]) => (
          <button key={name} type="button" role="tab" aria-selected={view === name} onClick={() => { setView(name); if (step === null) history.replaceState(null, "", `#view=${name}`); }}>{title}</button>
        ))}
        <button type="button" class="play" aria-pressed={playing} onClick={() => setPlaying(!playing)}>{playing ? "Pause" : "Play"}</button>
      </nav>
      <main ref={main}>
        <View
          layer={layer} selection={selection} select={select} symbols={{ on: symbols, n: layer.n }} width={width}
          veiled={step !== null && !!STEPS[step].question && !asked} neutral={step !== null && !!STEPS[step].neutral}
          edit={(tensor, index, value) => follow(edited(layer, tensor, index, value), true)}
        />
      </main>
      <footer>
        <Controls
          layer={layer} change={change} message={message}
          reset={layer === original ? null : () => { setMessage(""); setState({ of: original, base: original, layer: original, selection: fit(original, selection) }); }}
        />
        <div class="legend">
          <span>negative</span>
          <i style={{ background: `linear-gradient(90deg, rgb(${palette.minus}), rgb(${palette.zero}), rgb(${palette.plus}))` }} />
          <span>positive</span>
          <span class="note">{layer.kind}{layer.transposed ? ", transposed" : ""}; keys 1 to 5: views, arrows: cells; type to change a number{layer.note && `; ${layer.note}`}</span>
        </div>
      </footer>
    </LookContext.Provider>
  );
}

/** The next place of what the view is about, in reading order. */
function advance(layer: Layer, selection: Selection, view: ViewName): Selection {
  const next = (at: Three, sizes: Three): Three => place((flat(at, sizes) + 1) % count(sizes), sizes);
  if (view === "filter") return selectTap(layer, selection, next(selection.tap, layer.shapes.kernel));
  const cell = view === "input" ? !layer.transposed : layer.transposed && view === "forward";
  return cell
    ? selectInput(layer, selection, next(selection.input, layer.shapes.input))
    : selectOutput(layer, selection, next(selection.output, layer.shapes.output));
}
