// Package e2e tests the whole chain as it is deployed: HTTP, the local edge, the
// artifact in real Node processes, and a real S3 server that verifies signatures.
// It has only tests.
package e2e
