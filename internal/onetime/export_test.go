package onetime

// The time budget, for tests that hold the gate to it.
const (
	WriteLimit    = writeLimit
	ReadBackLimit = readBackLimit
	LookupLimit   = lookupLimit
	MaxTries      = maxTries
	UploadLife    = uploadLife
)

// NewUUID is how mint names objects.
var NewUUID = newUUID
