// Evaluates trust policies with @cloud-copilot/iam-simulate, an IAM simulator that this project did not write. It is a process
// of its own, for tests only: node simulate.mjs MODULES, then a question a line in, an answer a line out, in the same order.
//
// Question: {document, principal, action, context: {key: value or [values]}}. Answer: {answer: "allow" | "deny"} or {error}.
// The answer is the role's side of the call alone, as the simulator sees the trust policy.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { createInterface } from 'node:readline'
import { join } from 'node:path'

const require = createRequire(pathToFileURL(join(process.argv[2], 'any.js')))
const { runSimulation } = require('@cloud-copilot/iam-simulate')

const account = '444455556666'
const resource = `arn:aws:iam::${account}:role/Granted`

async function evaluate({ document, principal, action, context }) {
  const answer = await runSimulation({
    identityPolicies: [],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: document,
    request: { action, principal, resource: { resource, accountId: account }, contextVariables: context },
  }, {})
  if (answer.resultType !== 'single') return { error: JSON.stringify(answer.errors ?? answer.resultType) }
  const { analysis, ignoredContextKeys } = answer.result
  if (ignoredContextKeys.length > 0) return { error: `keys that the action doesn't have: ${ignoredContextKeys}` }
  const { result } = analysis.resourceAnalysis
  return { answer: result === 'Allowed' || result === 'AllowedForAccount' ? 'allow' : 'deny' }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = await evaluate(JSON.parse(line))
  } catch (err) {
    answer = { error: String(err) }
  }
  if (!process.stdout.write(JSON.stringify(answer) + '\n')) await new Promise((done) => process.stdout.once('drain', done))
}
