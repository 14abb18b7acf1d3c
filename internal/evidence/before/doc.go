// Package before plays records that earlier versions wrote: URLs, API keys and webhook
// messages must keep working through an update and a rollback. Each file of testdata is
// named for the version whose code wrote it; none is ever changed. The package holds
// nothing but tests.
package before
