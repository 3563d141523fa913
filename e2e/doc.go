// Package e2e drives the real stack, synthesised by CDK and made of the real functions, on a local emulator with IAM
// enforcement. Run it with `make e2e`; docs/emulator.md says what it can't show.
package e2e
