// Unpacks Chromium, its fonts, its software renderer and its NSS libraries into $TMPDIR: the package always unpacks into the
// temporary folder, so the caller points that at the project's own tools folder.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { inflate } from "@sparticuz/chromium";

const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
const bin = join(dirname(entry), "..", "..", "bin");
for (const archive of ["fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br", "chromium.br"]) {
  await inflate(join(bin, archive));
}
