// Package clients uploads with the HTTP clients that people have, unmodified: what each
// sends for a presigned URL must be stored once, and what it sends by mistake must spend
// nothing.
package clients
