// Light or dark: the system's choice until the reader makes one.

import { createContext } from "preact";
import { useContext } from "preact/hooks";

export type Theme = "light" | "dark";
export const ThemeContext = createContext<Theme>("light");
export const useTheme = (): Theme => useContext(ThemeContext);
export const systemTheme = (): Theme => (window.matchMedia?.("(prefers-color-scheme: dark)").matches ? "dark" : "light");
