// Does as stdin says: "enter", or "ring" before it. Prints what became of it, without the external ID.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { enter, type Row } from './snippet.js'

const row: Row = JSON.parse(process.argv[2]!)
for await (const line of createInterface({ input: process.stdin })) {
  let error = ''
  if (line.trim() === 'ring') row.checked = 0
  else {
    try { await enter(row, async () => {}) } catch (e) { error = `${(e as Error).name}: ${(e as Error).message}` }
  }
  console.log(JSON.stringify({ error, confirmed: row.confirmed, id: createHash('sha256').update(row.externalId).digest('hex').slice(0, 6) }))
}
