// A convolution neuron: what goes in and comes out, and the gradients on the way back.

export function Neuron() {
  return (
    <svg viewBox="0 0 520 150" role="img" aria-label="a neuron: X and F in, o out; dL/do in, dL/dX and dL/dF out">
      <defs>
        {["accent", "warm"].map((name) => (
          <marker key={name} id={`end-${name}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
            <path d="M0 0 L8 4 L0 8 z" style={{ fill: `var(--${name})`, stroke: "none" }} />
          </marker>
        ))}
      </defs>
      <circle cx="260" cy="75" r="38" fill="none" stroke="var(--ink)" stroke-width="2" />
      <text x="260" y="80">X ∗ F</text>
      {[
        ["M70 30 L222 62", "accent", 55, 28, "X"], ["M70 120 L224 90", "accent", 55, 128, "F"], ["M298 68 L450 68", "accent", 468, 62, "o"],
        ["M450 88 L300 88", "warm", 484, 100, "∂L/∂o"], ["M226 52 L104 25", "warm", 150, 18, "∂L/∂X"], ["M228 101 L104 128", "warm", 150, 143, "∂L/∂F"],
      ].map(([path, name, x, y, text]) => (
        <g key={text}>
          <path d={path as string} style={{ stroke: `var(--${name})` }} stroke-dasharray={name === "warm" ? "6 4" : undefined} marker-end={`url(#end-${name})`} />
          <text x={x} y={y}>{text}</text>
        </g>
      ))}
    </svg>
  );
}
