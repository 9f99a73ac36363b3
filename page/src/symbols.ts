// Names of cells as on the slides: indices count from 1.

export interface Symbols {
  on: boolean;
  n: number; // directions
}

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** ``x₁₂``, or ``x₁₀,₂`` where an index has two digits. */
export function symbolOf(letter: string, at: number[], n: number): string {
  const indices = at.slice(at.length - n).map((k) => k + 1);
  const digits = indices.map((k) => [...String(k)].map((digit) => SUBSCRIPTS[Number(digit)]).join(""));
  return letter + digits.join(indices.some((k) => k > 9) ? "," : "");
}

const MOST = 16; // products of an equation that are written down

/** ``o₁₁ = F₁₁x₁₁ + F₁₂x₁₂ + ...``, as far as there is room. */
export function equationOf(left: string, factors: [string, string][]): string {
  const written = factors.slice(0, MOST).map(([a, b]) => a + b);
  if (factors.length > MOST) written.push(`… (${factors.length} products)`);
  return `${left} = ${written.join(" + ") || "0"}`;
}
