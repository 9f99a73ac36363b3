import { render } from "preact";
import { App } from "./app";
import { read } from "./data";

render(<App content={read()} />, document.getElementById("page")!);
