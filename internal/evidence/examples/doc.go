// Package examples runs every example under examples/ against the local edge: with a
// real curl, Python, Go command and Chromium.
package examples
