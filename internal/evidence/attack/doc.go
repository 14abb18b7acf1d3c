// Package attack holds attempts to go round the gate: each has a name, says what it
// would break, and must be refused with nothing stored, spent, read or leaked. It
// holds nothing but tests.
//
// Attempts are bytes on a socket, for an HTTP library would put them right. They go
// to one of four places: the local edge, the bucket's own host (by name and by
// path), and a distribution whose gate was taken off. What S3 was asked on the way
// is looked at too, so that an attempt that S3 alone has refused shows as well.
package attack
