// Package tree holds the source tree to its rules: who imports whom, what is
// linked into what is deployed, and how packages and files are written. It is tests
// and nothing else.
package tree
