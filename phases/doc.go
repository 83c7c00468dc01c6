// Package phases holds what each phase of an upgrade does, in the order that
// the seed gives: the plan (which rows there are), the selection (which of
// them a label filter asks for), the gate (which of them may run), the
// journal and the ledger (what passed), and one file per phase.
//
// The package knows nothing of Ginkgo: it returns errors, and the suite
// asserts.
package phases
