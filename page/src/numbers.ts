// How numbers are written and coloured: one scale with a shared zero, that colour-blind readers can tell apart.

export function written(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text =
    size >= 1e5 || size < 1e-3 ? value.toExponential(2).replace("e+", "e") : Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}

/** As short as fits a cell: two digits that count, no zero before the point. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || (Number.isInteger(value) && size < 1e4)) return written(value);
  if (size >= 999.5 || size < 0.0095) return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  return String(Number(value.toPrecision(2))).replace("0.", ".").replace("-", "−");
}

export function largest(numbers: ArrayLike<number>): number {
  let most = 0;
  for (let k = 0; k < numbers.length; k++) {
    const size = Math.abs(numbers[k]);
    if (size > most && size < Infinity) most = size;
  }
  return most;
}

type Colour = [number, number, number];
export interface Palette {
  zero: Colour;
  plus: Colour;
  minus: Colour;
  ink: string;
  faint: string;
  wrong: Colour;
}

// Okabe and Ito's orange and blue
export const PALETTES: Record<"light" | "dark", Palette> = {
  light: { zero: [255, 255, 255], plus: [213, 94, 0], minus: [0, 114, 178], ink: "#1b1f24", faint: "#c9ced6", wrong: [204, 121, 167] },
  dark: { zero: [24, 27, 32], plus: [240, 140, 50], minus: [70, 165, 225], ink: "#e8eaed", faint: "#434a54", wrong: [204, 121, 167] },
};

export function colour(palette: Palette, value: number, most: number): Colour {
  if (Number.isNaN(value)) return palette.wrong;
  const part = most > 0 ? Math.min(Math.abs(value) / most, 1) : 0;
  const pole = value < 0 ? palette.minus : palette.plus;
  return palette.zero.map((zero, k) => Math.round(zero + (pole[k] - zero) * part)) as Colour;
}

/** Black or white, whichever is read on this colour. */
export const over = ([r, g, b]: Colour): string => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#14171a" : "#ffffff");

/** One of eight colours (Okabe and Ito's, style.css), for kernels that are told apart. */
export const kindOf = (number: number): string => `var(--kind-${number % 8})`;
