// Everything into one file that needs no network: src/convarium/_look/page.html, with a place for the data.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = new URL(".", import.meta.url).pathname;
const target = join(here, "../src/convarium/_look/page.html");

/** Of all that the page is made of: a test asks whether the built file is made of what lies here. */
export function fingerprint() {
  const files = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .concat(join(here, "package-lock.json"))
    .map((file) => [file.slice(here.length), file])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256");
  for (const [name, file] of files) hash.update(`${name}\0`).update(readFileSync(file)).update("\0");
  return hash.digest("hex").slice(0, 16);
}

const options = { bundle: true, minify: true, write: false, charset: "utf8", legalComments: "none", target: "es2022" };
const script = await build({
  ...options, entryPoints: [join(here, "src/main.tsx")], format: "iife", jsx: "automatic", jsxImportSource: "preact",
});
const style = await build({ ...options, entryPoints: [join(here, "src/style.css")] });
const licence = readFileSync(join(here, "node_modules/preact/LICENSE"), "utf8").trim();
const html = `<!doctype html>
<!-- Preact is part of this page:
${licence}
-->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="sources" content="${fingerprint()}">
<title>convarium</title>
<style>${style.outputFiles[0].text.trim()}</style>
</head>
<body>
<div id="page"></div>
<!--data-->
<script>${script.outputFiles[0].text.trim().replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
writeFileSync(target, html);
writeFileSync(join(here, "../docs/look.html"), html); // without data it is the lecture's example
console.log(`${target}: ${(html.length / 1024).toFixed(0)} KiB`);
