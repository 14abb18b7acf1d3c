// Package page tests the page for people in a real browser, against the whole chain. It has
// no code of its own.
package page
