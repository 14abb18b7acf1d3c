// Package attack holds attempts to bypass the gate. Each has a name, says what it would
// break, and must be refused with nothing stored, spent, read or leaked. The package
// holds nothing but tests.
//
// Attempts are bytes on a socket, because an HTTP library would correct them. They go to
// one of four places: the local edge, the bucket's own host (by name and by path), and a
// distribution whose gate was taken off. The tests also look at what S3 was asked, so an
// attempt that only S3 refused is noticed.
package attack
