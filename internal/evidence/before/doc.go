// Package before plays what earlier versions left behind: URLs, API keys and webhook
// messages must keep working through an update and a rollback, and no update may replace what
// holds them. Each file of testdata is named for the version that it is of, records whose code
// wrote it and templates that it deployed; none is ever changed. The package holds nothing but tests.
package before
