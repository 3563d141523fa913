// Package simtest puts Countersign's functions into the embedded AWS, and proves over orders, crashes and faults that they
// keep their promises.
//
// World is one customer's account with the functions wired as the stack wires them; tests, the demo and stories drive it by
// verbs. Run lets actors act beside each other: a seed decides at every AWS call who goes on and what becomes of the call,
// and the invariants are asked after each one. A run is fully given by its seed and the commit.
//
// The package decides nothing about grants. It trusts package sim to be AWS; docs/simulator.md says how far.
package simtest
