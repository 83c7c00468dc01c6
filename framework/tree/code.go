package tree

// Code is the code that a process runs, as far as that can be told.
type Code struct {
	// Package is the package or distribution that it belongs to, Version which one of it: two processes of the same
	// Version run the same code. An empty Version means that the package is not there.
	Package, Version string
	// Unknown says why it cannot be told; empty: it can.
	Unknown string
}
