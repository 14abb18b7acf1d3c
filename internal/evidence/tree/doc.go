// Package tree tests that the source tree keeps its rules: who imports whom, what is
// linked into the programs, and how packages and files are written. It holds nothing but
// tests.
package tree
