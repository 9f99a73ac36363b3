// How the page looks: light or dark (the system's choice until the reader makes one), and large for a projector.

import { createContext } from "preact";
import { useContext } from "preact/hooks";

export type Theme = "light" | "dark";
export interface Look {
  theme: Theme;
  large: boolean;
}
export const LookContext = createContext<Look>({ theme: "light", large: false });
export const useLook = (): Look => useContext(LookContext);
export const systemTheme = (): Theme => (window.matchMedia?.("(prefers-color-scheme: dark)").matches ? "dark" : "light");
