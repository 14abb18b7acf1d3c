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

// Terms are what the gate tells a Spender of an upload.
func (g *Gate) Terms(length int64, put Put) (Terms, bool) { return g.terms(length, put) }

// Allow is the gate's rule.
func (g *Gate) Allow(entry ValidEntry, length int64, put Put) error {
	_, err := g.allow(entry, length, put)
	return err
}
