// The driver hands vectors to the snippet in TypeScript: {name: vector} in, {name: [verdict]} out.
import { readFileSync } from "node:fs";
import { receive } from "./snippet.js";

type Delivery = { at: number; headers: Record<string, string>; body: string; verdict: string };
type Vector = { secrets: string[]; deliveries: Delivery[] };

const vectors: Record<string, Vector> = JSON.parse(readFileSync(0, "utf8"));
const out: Record<string, string[]> = {};
for (const [name, { secrets, deliveries }] of Object.entries(vectors)) {
  const done = new Set<string>();
  const verdicts: string[] = [];
  for (const d of deliveries) {
    // As node:http gives them: names in lower case.
    const headers = Object.fromEntries(Object.entries(d.headers).map(([name, value]) => [name.toLowerCase(), value]));
    let verdict = "repeat";
    const take = async (id: string, body: Buffer) => {
      if (body.toString() !== d.body) throw new Error(`${name}: the work got another body`);
      if (done.has(id)) return;
      if (d.verdict === "failed") {
        verdict = "failed";
        throw new Error("the work failed");
      }
      done.add(id);
      verdict = "new";
    };
    const status = await receive(headers, Buffer.from(d.body), secrets, d.at, take);
    const kind = Math.floor(status / 100);
    if (kind === 4) verdict = "refused";
    if ((kind === 5) !== (verdict === "failed")) throw new Error(`${name}: answered ${status} to ${verdict}`);
    verdicts.push(verdict);
  }
  out[name] = verdicts;
}
console.log(JSON.stringify(out));
