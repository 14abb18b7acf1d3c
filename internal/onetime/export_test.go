package onetime

// The time budget, for tests that hold the gate to it.
const (
	WriteLimit    = writeLimit
	ReadBackLimit = readBackLimit
	LookupLimit   = lookupLimit
	MaxTries      = maxTries
	UploadLife    = uploadLife
)
